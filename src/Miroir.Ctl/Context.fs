namespace Miroir.Ctl

open System
open System.Threading
open Miroir.Core
open Miroir.Scripting

/// What every command is given: where to write, whom to ask, what is configured.
type Context = {
    World: Surroundings
    Output: Output
    Server: string
    ApiKey: string option
    ConfigFile: string option
    Cancel: CancellationToken
} with

    member this.Client() =
        match Uri.TryCreate(this.Server, UriKind.Absolute) with
        | true, uri when
            (nonNull uri).Scheme = Uri.UriSchemeHttp
            || (nonNull uri).Scheme = Uri.UriSchemeHttps
            ->
            let text =
                if this.Server.EndsWith '/' then
                    this.Server
                else
                    this.Server + "/"

            new MiroirClient(Uri text, this.ApiKey, TimeSpan.FromSeconds 100.0)
        | _ -> Exit.usage "--server" $"expected a URL such as http://127.0.0.1:7700, not \"{this.Server}\""

    /// --config, else MIROIR_CONFIG, else ./miroir.toml, else the defaults.
    member this.Config() : Configuration =
        let read file =
            match this.World.ReadFile file with
            | None -> None
            | Some text ->
                match Config.parse this.World.FindZone file text with
                | Ok config -> Some config
                | Error errors ->
                    let lines = errors |> List.map string |> String.concat "\n"
                    raise (Failure(Exit.Usage, (List.head errors).Code, lines))

        match this.ConfigFile, this.World.Variable "MIROIR_CONFIG" with
        | Some file, _ ->
            match read file with
            | Some config -> config
            | None -> Exit.usage "--config" $"there is no file {file}"
        | None, Some file ->
            match read file with
            | Some config -> config
            | None -> Exit.usage "MIROIR_CONFIG" $"there is no file {file}"
        | None, None -> read "miroir.toml" |> Option.defaultValue Config.defaults

    /// A window of the configuration; `argument` named it.
    member this.Window(argument: string, name: string) : Window =
        let config = this.Config()

        match config.Windows.TryFind name with
        | Some window -> window.Value
        | None ->
            let known = config.Windows |> Map.toList |> List.map fst |> String.concat ", "
            Exit.usage argument $"there is no window \"{name}\" in the configuration; known are: {known}"

[<RequireQualifiedAccess>]
module Arguments =

    /// `0-63`, or one shard's number.
    let shardSpan (text: string) : int * int =
        let number (part: string) =
            match Int32.TryParse(part, Globalization.NumberStyles.None, Globalization.CultureInfo.InvariantCulture) with
            | true, n -> n
            | _ -> Exit.usage "--shards" $"expected first and last shard such as 0-63, not {text}"

        match text.Split '-' with
        | [| one |] -> number one, number one
        | [| first; last |] when number first <= number last -> number first, number last
        | _ -> Exit.usage "--shards" $"expected first and last shard such as 0-63, not {text}"
