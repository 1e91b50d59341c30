namespace Miroir.Core

open System

/// The typed and validated configuration: every key of the operator contract.
[<RequireQualifiedAccess>]
module Config =

    /// What is in force without a file.
    val defaults: Configuration

    /// From a file's text. `findZone` looks an IANA time zone up; null where it is not known. Errors: all that are
    /// wrong, in the order of the file; none of it is then in force.
    val parse:
        findZone: (string -> TimeZoneInfo | null) ->
        file: string ->
        text: string ->
            Result<Configuration, ConfigError list>

    /// Every key's value in force, in the order of the contract.
    val entries: config: Configuration -> ConfigEntry list

    /// The entries that a name means: a whole key ("migration.drain_timeout"), its last part, or a whole section.
    val find: name: string -> config: Configuration -> ConfigEntry list

    /// The keys that are written most like a name.
    val suggest: name: string -> config: Configuration -> string list

    /// A file's text that parses to the same values.
    val print: config: Configuration -> string

    /// What others than this machine could reach without keys and TLS; refused unless the operator says `--insecure`.
    val exposed: config: Configuration -> ConfigError list

    /// What is allowed, and what an operator should know of it.
    val warnings: config: Configuration -> ConfigError list
