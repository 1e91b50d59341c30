namespace Miroir.Core

open System

/// Durations and sizes as people write them: a number and its unit.
[<RequireQualifiedAccess>]
module Units =

    /// "500ms", "30s", "1m", "6h", "7d", also "1m30s" and "0s", in whole milliseconds. Error: what was expected.
    val parseDuration: text: string -> Result<TimeSpan, string>

    /// The shortest text that parses to the same duration; the duration is whole milliseconds, not negative.
    val durationText: duration: TimeSpan -> string

    /// "512b", "10kb" (1,000), "1mib" (1,048,576), also "1.5gb", to bytes; upper or lower case.
    val parseSize: text: string -> Result<int64, string>

    /// A text that parses to the same number of bytes, in the greatest unit that divides it.
    val sizeText: bytes: int64 -> string
