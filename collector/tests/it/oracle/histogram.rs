//! The values of histogram, exponential histogram and summary points, and the rules they must meet.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, HistogramDataPoint, SummaryDataPoint};
use store::schema::PointValue;

use collector::Reason;

/// The value of a histogram's point: as many counts as bounds and one more, or none of either; bounds ascending.
pub fn explicit(point: &HistogramDataPoint) -> Result<PointValue<'_>, Reason> {
    let (counts, bounds) = (&point.bucket_counts, &point.explicit_bounds);
    let fits = if counts.is_empty() { bounds.is_empty() } else { counts.len() == bounds.len() + 1 };
    if !fits {
        return Err(Reason::Buckets);
    }
    // NaN is less than nothing, so it fails here too, but for a bound that stands alone.
    let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || bounds.iter().any(|bound| bound.is_nan()) {
        return Err(Reason::Bounds);
    }
    Ok(PointValue::Histogram {
        count: point.count,
        sum: point.sum,
        min: point.min,
        max: point.max,
        bucket_counts: counts,
        explicit_bounds: bounds,
    })
}

/// The value of an exponential histogram's point.
pub fn exponential(point: &ExponentialHistogramDataPoint) -> PointValue<'_> {
    PointValue::ExponentialHistogram {
        count: point.count,
        sum: point.sum,
        min: point.min,
        max: point.max,
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: point.positive.as_ref().map(buckets),
        negative: point.negative.as_ref().map(buckets),
    }
}

fn buckets(buckets: &Buckets) -> (i32, &[u64]) {
    (buckets.offset, &buckets.bucket_counts)
}

/// The pairs of quantile and value of a summary's point.
pub fn quantiles(point: &SummaryDataPoint) -> Vec<(f64, f64)> {
    point.quantile_values.iter().map(|pair| (pair.quantile, pair.value)).collect()
}
