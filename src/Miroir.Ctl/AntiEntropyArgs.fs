namespace Miroir.Ctl

open Argu

[<RequireQualifiedAccess>]
type AntiEntropyStatusArgs =
    | Index of UID: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "only passes over this index."

[<RequireQualifiedAccess>]
type AntiEntropyHistoryArgs =
    | Index of UID: string
    | Limit of COUNT: int
    | Detailed

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "only passes over this index."
            | Limit _ -> "how many of the newest; 100 where not given."
            | Detailed -> "with a line for each shard."

/// Of `verify` and `scrub`.
[<RequireQualifiedAccess>]
type PassArgs =
    | [<Mandatory>] Index of UID: string
    | Shards of FIRST_TO_LAST: string
    | Layout of GENERATION: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the index."
            | Shards _ -> "only these shards, such as 0-63; all where not given."
            | Layout _ -> "the layout that --shards counts in; the one in force where not given."

[<RequireQualifiedAccess>]
type RepairArgs =
    | [<Mandatory>] Index of UID: string
    | Shards of FIRST_TO_LAST: string
    | Layout of GENERATION: int
    | Dry_Run
    | Plan of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the index."
            | Shards _ -> "only these shards, such as 0-63; all where not given."
            | Layout _ -> "the layout that --shards counts in; the one in force where not given."
            | Dry_Run -> "change nothing; show what would be repaired."
            | Plan _ -> "with --dry-run the file that the plan is written to; else the plan to apply."

type AntiEntropyArgs =
    | [<CliPrefix(CliPrefix.None)>] Status of ParseResults<AntiEntropyStatusArgs>
    | [<CliPrefix(CliPrefix.None)>] History of ParseResults<AntiEntropyHistoryArgs>
    | [<CliPrefix(CliPrefix.None)>] Verify of ParseResults<PassArgs>
    | [<CliPrefix(CliPrefix.None)>] Run of ParseResults<RepairArgs>
    | [<CliPrefix(CliPrefix.None)>] Scrub of ParseResults<PassArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Status _ -> "on or off, the next run, the last, and what was found."
            | History _ -> "finished passes, the newest last."
            | Verify _ -> "compares replicas and changes nothing; exit status 1 where they differ."
            | Run _ -> "compares replicas and repairs what differs."
            | Scrub _ -> "takes the digests anew from the stored bodies."
