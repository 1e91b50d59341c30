namespace Miroir.Core

/// How a measured value stands.
[<RequireQualifiedAccess>]
type Level =
    | Healthy
    | Warning
    | Critical

/// Where a metric begins to warn and where it becomes critical.
type Threshold = {
    /// Stable name, such as write_latency_ratio: of the JSON field and of the alert rule.
    Metric: string
    /// For people.
    Title: string
    /// Unit of value and bounds: "x" (a ratio), "" (a count) or "s".
    Unit: string
    /// The least value that warns.
    WarningFrom: float
    /// The greatest value that is not critical.
    CriticalAbove: float
}

/// The operator contract's table of thresholds, and what it says of a value.
[<RequireQualifiedAccess>]
module Thresholds =

    /// p99 of writes now over the p99 of the ten minutes before the migration began.
    val writeLatency: Threshold
    val inFlightWrites: Threshold
    /// Seconds that a shard's drain took.
    val drainTime: Threshold
    val deltaDocuments: Threshold
    val divergences: Threshold

    val all: Threshold list

    /// A value that is not a number warns: nothing is known of it.
    val classify: threshold: Threshold -> value: float -> Level

    /// The healthy, warning and critical columns in words: "< 10 s", "10-30 s", "> 30 s".
    val columns: threshold: Threshold -> struct (string * string * string)
