namespace Miroir.Core

open System

[<RequireQualifiedAccess>]
module Units =

    open System.Globalization
    open System.Text.RegularExpressions

    let private part = Regex @"\G(\d{1,15})(ms|s|m|h|d)"

    let private unitMs =
        function
        | "ms" -> 1L
        | "s" -> 1_000L
        | "m" -> 60_000L
        | "h" -> 3_600_000L
        | _ -> 86_400_000L

    /// A hundred years: more is a slip of the hand.
    let private maxMs = 36_500L * 86_400_000L

    let parseDuration (text: string) : Result<TimeSpan, string> =
        let parts = [ for m in part.Matches text -> m ]

        if parts.IsEmpty || (parts |> List.sumBy _.Length) <> text.Length then
            Error $"expected a duration with its unit (ms, s, m, h or d) such as \"30s\", not \"{text}\""
        else
            let total =
                parts
                |> List.sumBy (fun m ->
                    let count = Int64.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture)
                    decimal count * decimal (unitMs m.Groups[2].Value))

            if total > decimal maxMs then
                Error $"expected a duration of at most 36500d, not \"{text}\""
            else
                Ok(TimeSpan.FromMilliseconds(int64 total))

    let durationText (duration: TimeSpan) : string =
        let ms = duration.Ticks / TimeSpan.TicksPerMillisecond

        let name, size =
            [ "d", 86_400_000L; "h", 3_600_000L; "m", 60_000L; "s", 1_000L; "ms", 1L ]
            |> List.find (fun (_, size) -> ms % size = 0L)

        if ms = 0L then "0s" else $"{ms / size}{name}"

    let private sizeUnits = [
        "tib", 1L <<< 40
        "tb", 1_000_000_000_000L
        "gib", 1L <<< 30
        "gb", 1_000_000_000L
        "mib", 1L <<< 20
        "mb", 1_000_000L
        "kib", 1L <<< 10
        "kb", 1_000L
        "b", 1L
    ]

    let private size = Regex @"^(\d{1,18}(?:\.\d{1,6})?)([a-z]+)$"

    let parseSize (text: string) : Result<int64, string> =
        let wrong =
            Error
                $"expected a size with its unit (b, kb, mb, gb, tb, kib, mib, gib or tib) such as \"10kb\", not \"{text}\""

        let found = size.Match(text.ToLowerInvariant())

        if not found.Success then
            wrong
        else
            match sizeUnits |> List.tryFind (fun (name, _) -> name = found.Groups[2].Value) with
            | None -> wrong
            | Some(_, unit) ->
                let bytes =
                    Decimal.Parse(found.Groups[1].Value, CultureInfo.InvariantCulture)
                    * decimal unit

                if bytes <> Math.Truncate bytes then
                    Error $"\"{text}\" is not a whole number of bytes"
                elif bytes > decimal Int64.MaxValue then
                    Error $"\"{text}\" is more than 2^63 bytes"
                else
                    Ok(int64 bytes)

    let sizeText (bytes: int64) : string =
        if bytes = 0L then
            "0b"
        else
            sizeUnits
            |> List.filter (fun (_, unit) -> bytes % unit = 0L)
            |> List.maxBy snd
            |> fun (name, unit) -> $"{bytes / unit}{name}"
