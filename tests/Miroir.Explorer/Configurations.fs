namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// The small worlds that are searched.
[<RequireQualifiedAccess>]
module Configurations =

    let private shard generation number : ShardId = {
        Index = "i"
        Generation = generation
        Shard = number
    }

    /// A key in the lower (false) or upper half of the hash space.
    let private keyIn (upper: bool) (skip: string) : Key =
        Seq.initInfinite (fun i -> Key.Of $"k{i}")
        |> Seq.find (fun k -> (k.Hash >= (1UL <<< 63)) = upper && k.Text <> skip)

    let private lower = keyIn false ""
    let private upper = keyIn true ""

    let private limits = {
        Limits.Default with
            Throttle = 0
            MaxCopies = 3
            MaxDeltaFailures = 2
            MaxDropFailures = 2
    }

    let private whole (nodes: string list) : TargetShard[] = [|
        {
            Shard = shard 1 0
            Range = Layout.range 1 0
            Nodes = Array.ofList nodes
        }
    |]

    let private op (kind: OpKind) (mark: int) : Script = { Kind = kind; Key = 0; Mark = mark }

    let private basis = {
        Name = ""
        About = ""
        Nodes = [| "a"; "b" |]
        Routers = [| "r0" |]
        Keys = [| lower |]
        Shards = [| shard 1 0 |]
        Owners = [| "a" |]
        Goals = [| whole [ "b" ] |]
        Operations = [| op OpKind.Put 0; op OpKind.Read 1 |]
        Budget = Budget.None
        Limits = limits
        Before = 0
    }

    let private disjoint = {
        basis with
            Name = "disjoint"
            About = "from {a} to {b}, one copy each"
            Operations = [| op OpKind.Put 0; op OpKind.Read 1 |]
            Budget = { Budget.None with Timeouts = 1 }
    }

    let usual = [ disjoint ]
    let large = [ disjoint ]
    let all: Setting list = usual
