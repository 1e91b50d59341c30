namespace Miroir.Core

open System
open System.Collections.Generic
open System.Net

/// Words written alike.
module internal Spelling =

    /// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
    let distance (a: string) (b: string) : int =
        let d = Array2D.zeroCreate (a.Length + 1) (b.Length + 1)

        for i in 0 .. a.Length do
            d[i, 0] <- i

        for j in 0 .. b.Length do
            d[0, j] <- j

        for i in 1 .. a.Length do
            for j in 1 .. b.Length do
                let cost = if a[i - 1] = b[j - 1] then 0 else 1
                d[i, j] <- min (min (d[i - 1, j] + 1) (d[i, j - 1] + 1)) (d[i - 1, j - 1] + cost)

                if i > 1 && j > 1 && a[i - 1] = b[j - 2] && a[i - 2] = b[j - 1] then
                    d[i, j] <- min d[i, j] (d[i - 2, j - 2] + 1)

        d[a.Length, b.Length]

    /// The candidates near enough to be meant, the nearest first.
    let near (word: string) (candidates: string seq) : string list =
        candidates
        |> Seq.map (fun candidate -> candidate, distance (word.ToLowerInvariant()) candidate)
        |> Seq.filter (fun (_, distance) -> distance <= max 2 (word.Length / 3))
        |> Seq.sortBy snd
        |> Seq.map fst
        |> List.ofSeq

/// Reads one table of a configuration, and collects what is wrong with it.
type internal ConfigReader(file: string, path: string, table: TomlEntry list, errors: ResizeArray<ConfigError>) =
    let known = ResizeArray<string>()

    let full (key: string) =
        if path = "" then key else $"{path}.{key}"

    member _.Errors = errors
    member _.Path = path

    member _.Wrong(at: TomlPosition, key: string, message: string) =
        errors.Add {
            File = file
            Line = at.Line
            Column = at.Column
            Key = full key
            Code = "invalid_config"
            Message = message
        }

    member _.Has(key: string) =
        table |> List.exists (fun e -> e.Key = key)

    member _.Entry(key: string) : TomlEntry option =
        if not (known.Contains key) then
            known.Add key

        table |> List.tryFind (fun e -> e.Key = key)

    /// The key's value, or the default where it isn't there or is wrong (which is then among the errors).
    member this.Get(key: string, fallback: 'T, convert: TomlValue -> Result<'T, string>) : Setting<'T> =
        match this.Entry key with
        | None -> {
            Value = fallback
            Origin = SettingOrigin.Default
          }
        | Some entry ->
            match convert entry.Value with
            | Ok value -> {
                Value = value
                Origin = SettingOrigin.File(file, entry.At.Line)
              }
            | Error why ->
                this.Wrong(entry.At, key, why)

                {
                    Value = fallback
                    Origin = SettingOrigin.Default
                }

    /// A key's inner table: an empty one where it isn't there or is no table.
    member this.Section(key: string) : ConfigReader =
        let inner =
            match this.Entry key with
            | None -> []
            | Some { Value = TomlTable inner } -> inner
            | Some entry ->
                this.Wrong(entry.At, key, $"expected a table: [{full key}], not {Toml.describe entry.Value}")
                []

        ConfigReader(file, full key, inner, errors)

    /// Complains of every key that nobody has asked for. `elsewhere`: keys of other sections, which may be meant.
    member this.Finish(elsewhere: string seq) =
        for entry in table do
            if not (known.Contains entry.Key) then
                let hint =
                    match Spelling.near entry.Key known with
                    | best :: _ -> $"did you mean {full best}?"
                    | [] ->
                        match
                            elsewhere
                            |> Seq.tryFind (fun key -> key.EndsWith("." + entry.Key, StringComparison.Ordinal))
                        with
                        | Some key -> $"did you mean {key}?"
                        | None -> "known here: " + String.Join(", ", known)

                let what =
                    match entry.Value with
                    | TomlTable _ -> "table"
                    | _ -> "key"

                this.Wrong(entry.At, entry.Key, $"there is no such {what}; {hint}")

/// From a TOML value to what a key wants.
module internal Want =

    let bool value =
        match value with
        | TomlBoolean b -> Ok b
        | other -> Error $"expected true or false, not {Toml.describe other}"

    let text value =
        match value with
        | TomlString s -> Ok s
        | other -> Error $"expected a string, not {Toml.describe other}"

    let integer (least: int64) (most: int64) value =
        match value with
        | TomlInteger n when n >= least && n <= most -> Ok n
        | TomlInteger n -> Error $"expected {least} to {most}, not {n}"
        | other -> Error $"expected an integer from {least} to {most}, not {Toml.describe other}"

    let int (least: int) (most: int) value =
        integer (int64 least) (int64 most) value |> Result.map Operators.int

    let duration (least: TimeSpan) (most: TimeSpan) value =
        match value with
        | TomlString s ->
            Units.parseDuration s
            |> Result.bind (fun d ->
                if d < least || d > most then
                    Error $"expected {Units.durationText least} to {Units.durationText most}, not {s}"
                else
                    Ok d)
        | other -> Error $"expected a duration such as \"30s\", not {Toml.describe other}"

    let size value =
        match value with
        | TomlString s -> Units.parseSize s
        | other -> Error $"expected a size such as \"10kb\", not {Toml.describe other}"

    let number (isValid: float -> bool) (what: string) value =
        let check n =
            if isValid n then
                Ok n
            else
                Error $"expected {what}, not {Toml.describe value}"

        match value with
        | TomlInteger n -> check (float n)
        | TomlFloat n -> check n
        | other -> Error $"expected {what}, not {Toml.describe other}"

    let endPoint value =
        let wrong found =
            Error $"expected an IP address and a port such as \"127.0.0.1:7700\" or \"[::1]:7700\", not {found}"

        match value with
        | TomlString s ->
            // IPEndPoint.TryParse takes an address without a port too.
            match IPEndPoint.TryParse s with
            | true, point when
                s.EndsWith($":{(nonNull point).Port}", StringComparison.Ordinal)
                && s.Contains '.'
                || s.Contains ']'
                ->
                Ok(nonNull point)
            | _ -> wrong $"\"{s}\""
        | other -> wrong (Toml.describe other)

    let zone (findZone: string -> TimeZoneInfo | null) value =
        match value with
        | TomlString "UTC" -> Ok TimeZoneInfo.Utc
        | TomlString s ->
            match findZone s with
            | null ->
                Error $"there is no time zone \"{s}\"; expected an IANA name such as \"Europe/Berlin\", or \"UTC\""
            | zone -> Ok zone
        | other -> Error $"expected an IANA time zone such as \"Europe/Berlin\", not {Toml.describe other}"
