//! The content that comes with the binary: the rule files of `dashboards/rules/`.

/// Names and texts of the shipped rule files.
pub const RULES: [(&str, &str); 8] = [
    ("services.yml", include_str!("../dashboards/rules/services.yml")),
    ("balancer.yml", include_str!("../dashboards/rules/balancer.yml")),
    ("database.yml", include_str!("../dashboards/rules/database.yml")),
    ("cache.yml", include_str!("../dashboards/rules/cache.yml")),
    ("queue.yml", include_str!("../dashboards/rules/queue.yml")),
    ("hosts.yml", include_str!("../dashboards/rules/hosts.yml")),
    ("logs.sextant.yml", include_str!("../dashboards/rules/logs.sextant.yml")),
    ("sextant.yml", include_str!("../dashboards/rules/sextant.yml")),
];
