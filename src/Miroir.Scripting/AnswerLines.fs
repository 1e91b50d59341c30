namespace Miroir.Scripting

open System
open System.IO
open System.Net.Http
open System.Threading
open System.Threading.Tasks

/// The lines of an answer as they come, each read when it is asked for.
[<Sealed>]
type AnswerLines internal (server: Uri, response: HttpResponseMessage, reader: StreamReader, silence: TimeSpan) =

    /// None at the answer's end. Error where the connection breaks, or no line comes for `silence`.
    member _.Next(cancel: CancellationToken) : Task<Result<string option, ClientError>> =
        task {
            use limit = CancellationTokenSource.CreateLinkedTokenSource cancel
            limit.CancelAfter silence

            try
                let! line = reader.ReadLineAsync limit.Token
                return Ok(Option.ofObj line)
            with
            | :? IOException as problem -> return Error(Unreachable(string server, problem.Message))
            | :? HttpRequestException as problem -> return Error(Unreachable(string server, problem.Message))
            | :? OperationCanceledException when not cancel.IsCancellationRequested ->
                return Error(Unreachable(string server, $"it was silent for {silence.TotalSeconds} s"))
        }

    interface IDisposable with
        member _.Dispose() =
            reader.Dispose()
            response.Dispose()
