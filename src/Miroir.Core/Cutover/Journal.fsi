namespace Miroir.Core.Cutover

open System
open System.Text.Json

/// The JSON of observations, as journals keep them. Names are frozen: append only, and a build reads every journal
/// that an older one wrote.
[<RequireQualifiedAccess>]
module Journal =

    val write: w: Utf8JsonWriter -> observation: Observation -> unit

    /// Throws FormatException for a form, an event, an answer or an order that this build does not know.
    val read: e: JsonElement -> Observation

    val toBytes: observation: Observation -> byte[]

    /// As `read`; JsonException for what is no JSON.
    val ofBytes: json: ReadOnlyMemory<byte> -> Observation
