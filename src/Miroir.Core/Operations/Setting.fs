namespace Miroir.Core

[<RequireQualifiedAccess>]
type SettingOrigin =
    | Default
    | File of file: string * line: int
    | Follows of key: string * file: string * line: int

    override this.ToString() =
        match this with
        | Default -> "default"
        | File(file, line) -> $"{file}:{line}"
        | Follows(key, file, line) -> $"follows {key} ({file}:{line})"

[<Struct>]
type Setting<'T> = { Value: 'T; Origin: SettingOrigin }

type ConfigError = {
    File: string
    Line: int
    Column: int
    Key: string
    Code: string
    Message: string
} with

    override this.ToString() =
        let place =
            if this.Line > 0 then
                $"{this.File}:{this.Line}:{this.Column}: "
            else
                ""

        let key = if this.Key = "" then "" else $"{this.Key}: "
        $"{place}{key}{this.Message}"
