namespace Miroir.Core

/// Where something stands in a text, both counted from 1.
[<Struct>]
type TomlPosition = { Line: int; Column: int }

/// A TOML 1.0 value. Dates and times are kept as they were written.
type TomlValue =
    | TomlString of string
    | TomlInteger of int64
    | TomlFloat of float
    | TomlBoolean of bool
    | TomlDateTime of string
    | TomlArray of TomlItem list
    | TomlTable of TomlEntry list

/// An element of an array.
and TomlItem = { Value: TomlValue; At: TomlPosition }

/// A key of a table, with its own position; in the order of the text. A key is there once at most.
and TomlEntry = {
    Key: string
    Value: TomlValue
    At: TomlPosition
}

/// What is wrong with a text, and where.
type TomlError = { At: TomlPosition; Message: string }
