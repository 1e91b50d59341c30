namespace Miroir.Core

/// Where a setting's value comes from.
[<RequireQualifiedAccess>]
type SettingOrigin =
    /// Built in: no file says anything of it.
    | Default
    | File of file: string * line: int
    /// It is not given itself, and defaults to another key that is.
    | Follows of key: string * file: string * line: int

    override ToString: unit -> string

/// A value in force, and where it comes from.
[<Struct>]
type Setting<'T> = { Value: 'T; Origin: SettingOrigin }

/// What is wrong with a configuration, or should be known of it. `Line` and `Column` are counted from 1, 0 where no one place is meant.
type ConfigError = {
    File: string
    Line: int
    Column: int
    /// Such as "migration.drain_timeout"; "" for what is no matter of one key.
    Key: string
    /// invalid_config, UnsafeCutoverNoAntiEntropy, or rare_anti_entropy, which is a warning.
    Code: string
    Message: string
} with

    override ToString: unit -> string
