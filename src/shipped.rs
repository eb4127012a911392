//! The content that comes with the binary: the rule files of `dashboards/rules/`.

/// Names and texts of the shipped rule files.
pub const RULES: [(&str, &str); 3] = [
    ("logs.sextant.yml", include_str!("../dashboards/rules/logs.sextant.yml")),
    ("services.yml", include_str!("../dashboards/rules/services.yml")),
    ("sextant.yml", include_str!("../dashboards/rules/sextant.yml")),
];
