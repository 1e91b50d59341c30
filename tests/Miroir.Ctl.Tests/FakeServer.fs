namespace Miroir.Ctl.Tests

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.IO
open System.Text
open System.Threading
open System.Threading.Tasks
open Microsoft.AspNetCore.Builder
open Microsoft.AspNetCore.Hosting
open Microsoft.AspNetCore.Hosting.Server
open Microsoft.AspNetCore.Hosting.Server.Features
open Microsoft.AspNetCore.Http
open Microsoft.Extensions.DependencyInjection
open Microsoft.Extensions.Logging
open Miroir.Ctl

/// Answers on a free port of this machine with what a test says; remembers what it was asked.
type FakeServer(answer: string -> string -> int * string) =
    let asked = ConcurrentQueue<string * string>()

    let app =
        let builder = WebApplication.CreateSlimBuilder()
        builder.Logging.ClearProviders() |> ignore
        builder.WebHost.UseUrls "http://127.0.0.1:0" |> ignore
        let app = builder.Build()

        app.Run(fun http ->
            task {
                use reader = new StreamReader(http.Request.Body)
                let! body = reader.ReadToEndAsync()
                let request = $"{http.Request.Method} {http.Request.Path}{http.Request.QueryString}"
                asked.Enqueue(request, body)
                let status, text = answer request body
                http.Response.StatusCode <- status
                http.Response.ContentType <- "application/json"
                do! http.Response.WriteAsync text
            }
            :> Task)

        app.StartAsync().GetAwaiter().GetResult()
        app

    /// "METHOD /path?query" and the body, in order.
    member _.Asked = asked.ToArray()

    member _.Url =
        match app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>() with
        | null -> failwith "the fake server listens nowhere"
        | addresses -> Seq.head addresses.Addresses

    interface IDisposable with
        member _.Dispose() =
            (app :> IAsyncDisposable).DisposeAsync().AsTask().GetAwaiter().GetResult()

/// What a command wrote, and its exit status.
type Ran = {
    Status: int
    Out: string
    Error: string
    /// Those it was given, as it left them, and those it wrote.
    Files: (string * string) list
}

module Ctl =

    let noon = DateTimeOffset(2026, 3, 2, 12, 0, 0, TimeSpan.Zero)

    /// Runs a command as the program would, in this process, with files and input from memory, until it ends or is
    /// interrupted.
    let runUntil
        (interrupt: CancellationToken)
        (isTerminal: bool)
        (files: (string * string) list)
        (input: string)
        (server: string)
        (command: string list)
        : Ran =
        let out = new StringWriter(NewLine = "\n")
        let error = new StringWriter(NewLine = "\n")
        let files = Dictionary<string, string>(dict files, StringComparer.Ordinal)

        let find file =
            match files.TryGetValue file with
            | true, text -> Some text
            | _ -> None

        let stream (text: string) =
            new MemoryStream(Encoding.UTF8.GetBytes text) :> Stream

        let world: Surroundings = {
            Out = out
            Error = error
            Input = fun () -> stream input
            IsTerminal = isTerminal
            Variable = fun name -> if name = "MIROIR_SERVER" then Some server else None
            ReadFile = find
            OpenFile =
                fun file ->
                    match find file with
                    | Some text -> stream text
                    | None -> raise (FileNotFoundException $"Could not find file '{file}'.")
            WriteFile = fun file text -> files[file] <- text
            FindZone = fun _ -> null
            Now = fun () -> noon
            PollInterval = TimeSpan.FromMilliseconds 1.0
        }

        let status = (App.run world command interrupt).GetAwaiter().GetResult()

        {
            Status = status
            Out = out.ToString()
            Error = error.ToString()
            Files = [ for file in files -> file.Key, file.Value ]
        }

    let runOn isTerminal files =
        runUntil CancellationToken.None isTerminal files

    let runWith = runOn false

    let run server (command: string) =
        runWith [] "" server (command.Split(' ', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray)
