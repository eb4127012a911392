//! The collector's settings, the table `[collector]` of `sextant.toml`.

use serde::{Deserialize, Serialize};

use crate::limits;

/// See `src/default.toml` for what each setting means to its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The greatest size of a request in bytes, after decompression.
    pub request_bytes_max: u64,
    /// Bytes of all requests in flight together, compressed and decompressed. What comes beyond is refused for a while.
    pub in_flight_bytes_max: u64,
    /// The same for the requests of one connection.
    pub connection_bytes_max: u64,
    /// Bytes a second below which a body that arrives is given up; 0 for any speed.
    pub body_bytes_per_s_min: u64,
    /// Attributes of one item, resource or scope. What has more is rejected.
    pub attributes_max: u64,
    /// Bytes of an attribute's key.
    pub attribute_key_bytes_max: u64,
    /// Bytes of an attribute's value.
    pub attribute_value_bytes_max: u64,
    /// Attributes of a metric's point: they become labels.
    pub labels_max: u64,
    /// Bytes of the value of such an attribute.
    pub label_value_bytes_max: u64,
    /// Series that points may belong to within an hour or two. Points of further ones are rejected.
    pub series_max: u64,
    /// The same of one metric. Of its further ones, deltas are added up in an overflow series, and other points are rejected.
    pub series_per_metric_max: u64,
    /// Seconds in which the body of a request must have arrived.
    pub body_timeout_s: u64,
    /// Attribute keys that carry the correlation id, the first that is present counts.
    pub correlation_keys: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let keys = ["correlation.id", "correlation_id", "request.id", "x-correlation-id", "x-request-id"];
        Self {
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            in_flight_bytes_max: limits::IN_FLIGHT_BYTES_MAX,
            connection_bytes_max: limits::CONNECTION_BYTES_MAX,
            body_bytes_per_s_min: limits::BODY_BYTES_PER_S_MIN,
            attributes_max: limits::ATTRIBUTES_MAX,
            attribute_key_bytes_max: limits::ATTRIBUTE_KEY_BYTES_MAX,
            attribute_value_bytes_max: limits::ATTRIBUTE_VALUE_BYTES_MAX,
            labels_max: limits::LABELS_MAX,
            label_value_bytes_max: limits::LABEL_VALUE_BYTES_MAX,
            series_max: limits::SERIES_MAX,
            series_per_metric_max: limits::SERIES_PER_METRIC_MAX,
            body_timeout_s: 30,
            correlation_keys: keys.map(str::to_owned).to_vec(),
        }
    }
}

/// Settings that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value} does not work: {why}")]
pub struct ConfigError {
    /// The setting, without its table.
    pub key: &'static str,
    /// Its value.
    pub value: u64,
    /// What would work.
    pub why: String,
}

impl Config {
    /// Whether the settings can work together. To be asked before an [`crate::Intake`] is made.
    pub fn check(&self) -> Result<(), ConfigError> {
        let ceiling = limits::REQUEST_BYTES_CEILING;
        if self.request_bytes_max == 0 || self.request_bytes_max > ceiling {
            let why = format!("it must be from 1 to {ceiling}");
            return Err(ConfigError { key: "request_bytes_max", value: self.request_bytes_max, why });
        }
        // Else a request of the greatest size, which is there compressed and decompressed for a moment, would be told to
        // try again for ever.
        let least = 2 * self.request_bytes_max;
        if self.in_flight_bytes_max < least {
            let why = format!("it must be at least twice request_bytes_max, {least}");
            return Err(ConfigError { key: "in_flight_bytes_max", value: self.in_flight_bytes_max, why });
        }
        if self.connection_bytes_max < least {
            let why = format!("it must be at least twice request_bytes_max, {least}");
            return Err(ConfigError { key: "connection_bytes_max", value: self.connection_bytes_max, why });
        }
        if self.series_per_metric_max == 0 {
            let why = "it must be at least 1".to_owned();
            return Err(ConfigError { key: "series_per_metric_max", value: 0, why });
        }
        if self.body_timeout_s == 0 {
            let why = "it must be at least 1".to_owned();
            return Err(ConfigError { key: "body_timeout_s", value: 0, why });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_named() {
        assert_eq!(Config::default().check(), Ok(()));
        let small = Config { request_bytes_max: 100, in_flight_bytes_max: 200, ..Config::default() };
        assert_eq!(small.check(), Ok(()));
        for (config, key) in [
            (Config { request_bytes_max: 0, ..Config::default() }, "request_bytes_max"),
            (Config { request_bytes_max: u64::MAX, ..Config::default() }, "request_bytes_max"),
            (Config { in_flight_bytes_max: 199, ..small.clone() }, "in_flight_bytes_max"),
            (Config { body_timeout_s: 0, ..Config::default() }, "body_timeout_s"),
            (Config { series_per_metric_max: 0, ..Config::default() }, "series_per_metric_max"),
        ] {
            assert_eq!(config.check().map_err(|error| error.key), Err(key), "{config:?}");
        }
    }
}
