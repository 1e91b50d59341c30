module Miroir.Ctl.Program

open System
open System.IO
open System.Threading
open Miroir.Ctl

let private world: Surroundings = {
    Out = Console.Out
    Error = Console.Error
    Input = Console.OpenStandardInput
    IsTerminal = not Console.IsOutputRedirected
    Variable =
        fun name ->
            Environment.GetEnvironmentVariable name
            |> Option.ofObj
            |> Option.filter ((<>) "")
    ReadFile =
        fun file ->
            if File.Exists file then
                Some(File.ReadAllText file)
            else
                None
    OpenFile = fun file -> File.OpenRead file
    WriteFile = fun file text -> File.WriteAllText(file, text)
    FindZone =
        fun name ->
            match TimeZoneInfo.TryFindSystemTimeZoneById name with
            | true, zone -> zone
            | _ -> null
    Now = fun () -> DateTimeOffset.UtcNow
    PollInterval = TimeSpan.FromMilliseconds 250.0
}

[<EntryPoint>]
let main args =
    use interrupt = new CancellationTokenSource()

    Console.CancelKeyPress.Add(fun pressed ->
        pressed.Cancel <- true
        interrupt.Cancel())

    (App.run world (List.ofArray args) interrupt.Token).GetAwaiter().GetResult()
