namespace Miroir.Ctl

open Argu

type ReshardStartArgs =
    | [<Mandatory>] Index of UID: string
    | New_Shards of COUNT: int
    | Throttle of DOCUMENTS_PER_SECOND: int
    | Schedule_Window of NAME: string
    | Force
    | Dry_Run
    | Skip_Delta_Pass

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the index to reshard."
            | New_Shards _ -> "shards it shall have; as many as now where not given (rebalancing)."
            | Throttle _ -> "documents copied per second; 10000 where not given, 0 unlimited."
            | Schedule_Window _ -> "start only inside this window of the configuration, such as off-peak."
            | Force -> "start outside the window too."
            | Dry_Run -> "show the assignments, and start nothing."
            | Skip_Delta_Pass ->
                "compare nothing before switching; the source is kept until anti-entropy has. Refused where that is off."

/// By index (its newest migration) or by number.
type SelectArgs =
    | Index of UID: string
    | Migration of ID: int64

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the newest migration of this index."
            | Migration _ -> "the migration's number."

[<RequireQualifiedAccess>]
type RevertArgs =
    | Index of UID: string
    | Migration of ID: int64
    | Shards of FIRST_TO_LAST: string
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | RevertArgs.Index _ -> "the newest migration of this index."
            | RevertArgs.Migration _ -> "the migration's number."
            | RevertArgs.Shards _ ->
                "shards of the layout before the migration that shall go back, such as 0-63; all that it moves where not given."
            | RevertArgs.Force -> "go back even where too few of the old owners are there; says what that costs."

type ReshardStatusArgs =
    | Index of UID: string
    | Migration of ID: int64
    | Show of WHAT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the newest migration of this index."
            | Migration _ -> "the migration's number."
            | Show _ -> "delta: what the delta pass did, and the certificates."

type ReshardCutoverArgs =
    | Index of UID: string
    | Migration of ID: int64
    | No_Wait

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the newest migration of this index."
            | Migration _ -> "the migration's number."
            | No_Wait -> "return at once; the cutover goes on by itself."

type ReshardSetArgs =
    | Index of UID: string
    | Migration of ID: int64
    | Throttle of DOCUMENTS_PER_SECOND: int
    | Drain_Timeout of DURATION: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the newest migration of this index."
            | Migration _ -> "the migration's number."
            | Throttle _ -> "documents copied per second from now on; 0 unlimited."
            | Drain_Timeout _ -> "the longest wait for older writes, such as 60s."

type CheckWindowArgs =
    | [<Mandatory>] Schedule_Window of NAME: string

    interface IArgParserTemplate with
        member _.Usage = "a window of the configuration, such as off-peak."

type ReshardConfigArgs =
    | Show of KEY: string

    interface IArgParserTemplate with
        member _.Usage = "this key, or section; all where not given."

type ReshardArgs =
    | [<CliPrefix(CliPrefix.None)>] Start of ParseResults<ReshardStartArgs>
    | [<CliPrefix(CliPrefix.None)>] Watch of ParseResults<SelectArgs>
    | [<CliPrefix(CliPrefix.None)>] Status of ParseResults<ReshardStatusArgs>
    | [<CliPrefix(CliPrefix.None)>] Cutover of ParseResults<ReshardCutoverArgs>
    | [<CliPrefix(CliPrefix.None)>] Abort of ParseResults<SelectArgs>
    | [<CliPrefix(CliPrefix.None)>] Pause of ParseResults<SelectArgs>
    | [<CliPrefix(CliPrefix.None)>] Resume of ParseResults<SelectArgs>
    | [<CliPrefix(CliPrefix.None)>] Revert of ParseResults<RevertArgs>
    | [<CliPrefix(CliPrefix.None); SubCommand>] List
    | [<CliPrefix(CliPrefix.None)>] Set of ParseResults<ReshardSetArgs>
    | [<CliPrefix(CliPrefix.None)>] Check_Window of ParseResults<CheckWindowArgs>
    | [<CliPrefix(CliPrefix.None)>] Config of ParseResults<ReshardConfigArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Start _ -> "starts a migration to another number of shards, or onto the nodes as they are now."
            | Watch _ -> "follows a migration until it ends."
            | Status _ -> "phase, each shard's state, delta counts and certificates."
            | Cutover _ -> "switches to the new shards, phase by phase."
            | Abort _ -> "undoes the whole migration, until its first shard retires."
            | Pause _ -> "stops the copying; writes go on as they are."
            | Resume _ -> "goes on after a pause."
            | Revert _ -> "back to the old owners, while they are still kept."
            | List -> "every migration, newest first."
            | Set _ -> "changes a running migration."
            | Check_Window _ -> "inside or outside a window, and when it opens next; exit status 1 outside."
            | Config _ -> "the values in force, and where they come from."
