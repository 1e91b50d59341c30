namespace Miroir.Core

/// TOML 1.0 (https://toml.io/en/v1.0.0): text to tables and back.
[<RequireQualifiedAccess>]
module Toml =

    /// The deepest nesting of arrays and inline tables.
    [<Literal>]
    val MaxDepth: int = 64

    /// The entries of the root table. Errors: the first one of syntax, or every key that is there twice.
    val parse: text: string -> Result<TomlEntry list, TomlError list>

    /// A text that parses to the same entries (their positions apart).
    val print: entries: TomlEntry list -> string

    /// A value as it would stand behind `key = `.
    val printValue: value: TomlValue -> string

    /// What kind of value it is, in words: "the integer 30".
    val describe: value: TomlValue -> string
