namespace Miroir.Core.Cutover

open System
open System.Text.Json
open Miroir.Core
open Miroir.Core.Cutover

[<RequireQualifiedAccess>]
module Journal =

    let private writeLimits (w: Utf8JsonWriter) (l: Limits) =
        w.WriteStartObject "limits"
        w.WriteNumber("throttle", l.Throttle)
        w.WriteNumber("maxCopies", l.MaxCopies)
        w.WriteNumber("maxJoint", l.MaxJoint)
        w.WriteNumber("maxRetiring", l.MaxRetiring)
        w.WriteNumber("drainTimeoutMs", l.DrainTimeoutMs)
        w.WriteNumber("retainSourceMs", l.RetainSourceMs)
        w.WriteNumber("retryMs", l.RetryMs)
        w.WriteNumber("maxRetryMs", l.MaxRetryMs)
        w.WriteNumber("maxDeltaFailures", l.MaxDeltaFailures)
        w.WriteNumber("maxDropFailures", l.MaxDropFailures)
        w.WriteBoolean("awaitWrites", l.AwaitWrites)
        w.WriteBoolean("skipDeltaPass", l.SkipDeltaPass)
        w.WriteBoolean("antiEntropy", l.AntiEntropy)
        w.WriteEndObject()

    /// A field that older builds did not write, and what they did instead.
    let private flag name before (e: JsonElement) =
        match Json.tryField name e with
        | ValueSome value -> value.GetBoolean()
        | ValueNone -> before

    let private readLimits (e: JsonElement) : Limits = {
        Throttle = Json.int "throttle" e
        MaxCopies = Json.int "maxCopies" e
        MaxJoint = Json.int "maxJoint" e
        MaxRetiring = Json.int "maxRetiring" e
        DrainTimeoutMs = Json.int "drainTimeoutMs" e
        RetainSourceMs = Json.int "retainSourceMs" e
        RetryMs = Json.int "retryMs" e
        MaxRetryMs = Json.int "maxRetryMs" e
        MaxDeltaFailures = Json.int "maxDeltaFailures" e
        MaxDropFailures = Json.int "maxDropFailures" e
        AwaitWrites = flag "awaitWrites" false e
        SkipDeltaPass = flag "skipDeltaPass" false e
        AntiEntropy = flag "antiEntropy" true e
    }

    let private writeTarget (w: Utf8JsonWriter) (target: TargetShard) =
        Json.object' w (fun () ->
            Codec.writeShard w "shard" target.Shard
            Codec.writeRange w target.Range
            Json.strings w "nodes" target.Nodes)

    let private readTarget (e: JsonElement) : TargetShard = {
        Shard = Codec.readShard (Json.field "shard" e)
        Range = Codec.readRange e
        Nodes = Json.items "nodes" Json.text e
    }

    let private writePlan (w: Utf8JsonWriter) (plan: Plan) =
        w.WriteStartObject "plan"
        w.WriteNumber("migration", plan.Migration)
        w.WritePropertyName "index"
        Codec.writeIndex w plan.Index
        w.WriteNumber("generation", plan.To.Generation)
        w.WriteNumber("shards", plan.To.ShardCount)

        Json.array w "moves" plan.Moves (fun move ->
            Json.object' w (fun () ->
                w.WritePropertyName "route"
                Codec.writeRoute w move.Route
                Json.array w "targets" move.Targets (writeTarget w)))

        writeLimits w plan.Limits
        w.WriteEndObject()

    let private readPlan (e: JsonElement) : Plan = {
        Migration = Json.int64 "migration" e
        Index = Codec.readIndex (Json.field "index" e)
        To = {
            Generation = Json.int "generation" e
            ShardCount = Json.int "shards" e
        }
        Moves =
            e
            |> Json.items "moves" (fun move -> {
                Route = Codec.readRoute (Json.field "route" move)
                Targets = Json.items "targets" readTarget move
            })
        Limits = readLimits (Json.field "limits" e)
    }

    let private hex (text: string) =
        UInt64.Parse(text, Globalization.NumberStyles.AllowHexSpecifier, Globalization.CultureInfo.InvariantCulture)

    let private guid name (e: JsonElement) = (Json.field name e).GetGuid()

    let private writeDigest (w: Utf8JsonWriter) (digest: Digest) =
        w.WriteString("digestA", digest.A.ToString "x16")
        w.WriteString("digestB", digest.B.ToString "x16")

    let private readDigest (e: JsonElement) : Digest = {
        A = hex (Json.string "digestA" e)
        B = hex (Json.string "digestB" e)
    }

    let private writeVersion (w: Utf8JsonWriter) (version: DocumentVersion) =
        w.WriteNumber("term", version.Term)
        w.WriteNumber("clock", version.Clock)

    let private readVersion (e: JsonElement) : DocumentVersion = {
        Term = Json.int64 "term" e
        Clock = Json.int64 "clock" e
    }

    let private writeProofs (w: Utf8JsonWriter) (name: string) (stores: (Replica * Guid)[]) =
        Json.array w name stores (fun (replica, incarnation) ->
            Json.object' w (fun () ->
                w.WriteString("node", replica.Node)
                Codec.writeShard w "store" replica.Store
                w.WriteString("incarnation", incarnation)))

    let private readProofs (name: string) (e: JsonElement) : (Replica * Guid)[] =
        e
        |> Json.items name (fun item ->
            {
                Node = Json.string "node" item
                Store = Codec.readShard (Json.field "store" item)
            },
            guid "incarnation" item)

    let private writeProgress (w: Utf8JsonWriter) (p: ReconcileProgress) =
        match p.Position with
        | null -> ()
        | key -> w.WriteBase64String("position", key.Span)

        w.WriteNumber("compared", p.Compared)
        w.WriteNumber("copied", p.Copied)
        w.WriteNumber("copiedBytes", p.CopiedBytes)
        w.WriteNumber("copiedTombstones", p.CopiedTombstones)
        writeDigest w p.MergeDigest
        writeVersion w p.Watermark
        w.WriteString("incarnation", p.Incarnation)
        w.WriteBoolean("complete", p.IsComplete)

    let private readProgress (e: JsonElement) : ReconcileProgress = {
        Position =
            (match Json.tryField "position" e with
             | ValueSome bytes -> Key.OfBytes(ReadOnlySpan(bytes.GetBytesFromBase64()))
             | ValueNone -> null)
        Compared = Json.int64 "compared" e
        Copied = Json.int64 "copied" e
        CopiedBytes = Json.int64 "copiedBytes" e
        CopiedTombstones = Json.int64 "copiedTombstones" e
        MergeDigest = readDigest e
        Watermark = readVersion e
        Incarnation = guid "incarnation" e
        IsComplete = Json.bool "complete" e
    }

    let private writeRefusal (w: Utf8JsonWriter) (refusal: Refusal) =
        w.WriteNumber("code", int refusal.Code)
        w.WriteString("message", refusal.Message)

    let private readRefusal (e: JsonElement) : Refusal = {
        Code = enum<RefusalCode>(Json.int "code" e)
        Message = Json.string "message" e
    }

    let private writeAnswer (w: Utf8JsonWriter) (answer: Answer) =
        let kind (name: string) = w.WriteString("answer", name)

        match answer with
        | Published -> kind "published"
        | PublishConflict -> kind "publishConflict"
        | PublishUnknown why ->
            kind "publishUnknown"
            w.WriteString("why", why)
        | Inspected routes ->
            kind "inspected"

            Json.array w "routes" routes (fun route ->
                match route with
                | Some known -> Codec.writeRoute w known
                | None -> w.WriteNullValue())
        | MakeAnswered(Made incarnation) ->
            kind "made"
            w.WriteString("incarnation", incarnation)
        | MakeAnswered(MakeStaleEpoch epoch) ->
            kind "makeStaleEpoch"
            w.WriteNumber("epoch", epoch)
        | MakeAnswered(MakeRefused refusal) ->
            kind "makeRefused"
            writeRefusal w refusal
        | BarrierAnswered(Confirmed incarnation) ->
            kind "confirmed"
            w.WriteString("incarnation", incarnation)
        | BarrierAnswered ConfirmedNotServing -> kind "confirmedNotServing"
        | BarrierAnswered(BarrierAbove epoch) ->
            kind "barrierAbove"
            w.WriteNumber("epoch", epoch)
        | BarrierAnswered(BarrierRefused refusal) ->
            kind "barrierRefused"
            writeRefusal w refusal
        | Progressed p ->
            kind "progressed"
            writeProgress w p
        | ReconcileAnswered(Progress p) ->
            kind "reconciled"
            writeProgress w p
        | ReconcileAnswered(ReconcileStaleEpoch epoch) ->
            kind "reconcileStaleEpoch"
            w.WriteNumber("epoch", epoch)
        | ReconcileAnswered ReconcileNotServing -> kind "reconcileNotServing"
        | ReconcileAnswered(SourceFailed(node, why)) ->
            kind "sourceFailed"
            w.WriteString("node", node)
            w.WriteString("why", why)
        | ReconcileAnswered(ReconcileRefused refusal) ->
            kind "reconcileRefused"
            writeRefusal w refusal
        | DropAnswered Dropped -> kind "dropped"
        | DropAnswered AlreadyGone -> kind "alreadyGone"
        | DropAnswered NotTheSame -> kind "notTheSame"
        | DropAnswered(DropStaleEpoch epoch) ->
            kind "dropStaleEpoch"
            w.WriteNumber("epoch", epoch)
        | DropAnswered(DropRefused refusal) ->
            kind "dropRefused"
            writeRefusal w refusal
        | WritesOpen writes ->
            kind "writesOpen"
            w.WriteNumber("count", writes.Count)
            w.WriteNumber("oldestMs", writes.OldestMs)
        | Elapsed -> kind "elapsed"
        | Unreachable why ->
            kind "unreachable"
            w.WriteString("why", why)

    let private readAnswer (e: JsonElement) : Answer =
        let epoch () = Json.int64 "epoch" e

        match Json.string "answer" e with
        | "published" -> Published
        | "publishConflict" -> PublishConflict
        | "publishUnknown" -> PublishUnknown(Json.string "why" e)
        | "inspected" ->
            Inspected(
                e
                |> Json.items "routes" (fun route ->
                    if route.ValueKind = JsonValueKind.Null then
                        None
                    else
                        Some(Codec.readRoute route))
            )
        | "made" -> MakeAnswered(Made(guid "incarnation" e))
        | "makeStaleEpoch" -> MakeAnswered(MakeStaleEpoch(epoch ()))
        | "makeRefused" -> MakeAnswered(MakeRefused(readRefusal e))
        | "confirmed" -> BarrierAnswered(Confirmed(guid "incarnation" e))
        | "confirmedNotServing" -> BarrierAnswered ConfirmedNotServing
        | "barrierAbove" -> BarrierAnswered(BarrierAbove(epoch ()))
        | "barrierRefused" -> BarrierAnswered(BarrierRefused(readRefusal e))
        | "progressed" -> Progressed(readProgress e)
        | "reconciled" -> ReconcileAnswered(Progress(readProgress e))
        | "reconcileStaleEpoch" -> ReconcileAnswered(ReconcileStaleEpoch(epoch ()))
        | "reconcileNotServing" -> ReconcileAnswered ReconcileNotServing
        | "sourceFailed" -> ReconcileAnswered(SourceFailed(Json.string "node" e, Json.string "why" e))
        | "reconcileRefused" -> ReconcileAnswered(ReconcileRefused(readRefusal e))
        | "dropped" -> DropAnswered Dropped
        | "alreadyGone" -> DropAnswered AlreadyGone
        | "notTheSame" -> DropAnswered NotTheSame
        | "dropStaleEpoch" -> DropAnswered(DropStaleEpoch(epoch ()))
        | "dropRefused" -> DropAnswered(DropRefused(readRefusal e))
        | "writesOpen" ->
            WritesOpen {
                Count = Json.int "count" e
                OldestMs = Json.int64 "oldestMs" e
            }
        | "elapsed" -> Elapsed
        | "unreachable" -> Unreachable(Json.string "why" e)
        | other -> raise (FormatException $"'{other}' is no answer that this build knows")

    let private writeOrder (w: Utf8JsonWriter) (order: Order) =
        let kind (name: string) = w.WriteString("order", name)

        match order with
        | Order.Cutover -> kind "cutover"
        | Pause -> kind "pause"
        | Resume -> kind "resume"
        | Order.Abort reason ->
            kind "abort"
            w.WriteString("reason", reason)
        | Tune(throttle, drainTimeoutMs) ->
            kind "tune"
            w.WriteNumber("throttle", throttle)
            w.WriteNumber("drainTimeoutMs", drainTimeoutMs)
        | Certify(source, c) ->
            kind "certify"
            Codec.writeShard w "shard" source
            w.WriteStartObject "certificate"
            Codec.writeShard w "target" c.Target
            w.WriteNumber("jointEpoch", c.JointEpoch)
            writeProofs w "holders" c.Holders
            writeProofs w "sources" c.Sources
            w.WriteNumber("entries", c.Entries)
            w.WriteNumber("copied", c.Copied)
            writeDigest w c.Digest
            writeVersion w c.Watermark
            w.WriteEndObject()
        | AssignWriter(shard, router, incarnation) ->
            kind "assignWriter"
            Codec.writeShard w "shard" shard
            w.WriteString("router", router)
            w.WriteNumber("incarnation", incarnation)

    let private readOrder (e: JsonElement) : Order =
        match Json.string "order" e with
        | "cutover" -> Order.Cutover
        | "pause" -> Pause
        | "resume" -> Resume
        | "abort" -> Order.Abort(Json.string "reason" e)
        | "tune" -> Tune(Json.int "throttle" e, Json.int "drainTimeoutMs" e)
        | "certify" ->
            let c = Json.field "certificate" e

            Certify(
                Codec.readShard (Json.field "shard" e),
                {
                    Target = Codec.readShard (Json.field "target" c)
                    JointEpoch = Json.int64 "jointEpoch" c
                    Holders = readProofs "holders" c
                    Sources = readProofs "sources" c
                    Entries = Json.int64 "entries" c
                    Copied = Json.int64 "copied" c
                    Digest = readDigest c
                    Watermark = readVersion c
                }
            )
        | "assignWriter" ->
            AssignWriter(Codec.readShard (Json.field "shard" e), Json.string "router" e, Json.int64 "incarnation" e)
        | other -> raise (FormatException $"'{other}' is no order that this build knows")

    let write (w: Utf8JsonWriter) (observation: Observation) =
        Json.object' w (fun () ->
            w.WriteNumber("v", 1)
            w.WriteNumber("atUnixMs", observation.AtUnixMs)

            match observation.Event with
            | Started plan ->
                w.WriteString("event", "started")
                writePlan w plan
            | Answered(sequence, answer) ->
                w.WriteString("event", "answered")
                w.WriteNumber("sequence", sequence)
                writeAnswer w answer
            | Ordered order ->
                w.WriteString("event", "ordered")
                writeOrder w order)

    let read (e: JsonElement) : Observation =
        Json.version 1 e |> ignore

        {
            AtUnixMs = Json.int64 "atUnixMs" e
            Event =
                match Json.string "event" e with
                | "started" -> Started(readPlan (Json.field "plan" e))
                | "answered" -> Answered(Json.int64 "sequence" e, readAnswer e)
                | "ordered" -> Ordered(readOrder e)
                | other -> raise (FormatException $"'{other}' is no event that this build knows")
        }

    let toBytes (observation: Observation) : byte[] =
        Json.toBytes (fun w -> write w observation)

    let ofBytes (json: ReadOnlyMemory<byte>) : Observation = Json.ofBytes read json
