namespace Miroir.Core

open System
open System.Net

[<RequireQualifiedAccess>]
module Config =

    let defaults = ConfigSections.read (fun _ -> null) "" [] (ResizeArray())

    let parse
        (findZone: string -> TimeZoneInfo | null)
        (file: string)
        (text: string)
        : Result<Configuration, ConfigError list> =
        match Toml.parse text with
        | Error problems ->
            Error [
                for problem in problems ->
                    {
                        File = file
                        Line = problem.At.Line
                        Column = problem.At.Column
                        Key = ""
                        Code = "invalid_config"
                        Message = problem.Message
                    }
            ]
        | Ok table ->
            let errors = ResizeArray()
            let config = ConfigSections.read findZone file table errors

            if errors.Count = 0 then
                Ok config
            else
                Error(errors |> Seq.sortBy (fun e -> e.Line, e.Column) |> List.ofSeq)

    // ----- Showing ------------------------------------------------------------------------------------------------

    let private item value : TomlItem = {
        Value = value
        At = { Line = 0; Column = 0 }
    }

    let private entry key value : TomlEntry = {
        Key = key
        Value = value
        At = { Line = 0; Column = 0 }
    }

    let private nodeValue (node: NodeInfo) =
        TomlTable [
            entry "name" (TomlString node.Name)
            entry "address" (TomlString node.Address)
            if node.Zone <> "" then
                entry "zone" (TomlString node.Zone)
            entry "weight" (TomlFloat node.Weight)
            if node.CapacityBytes > 0L then
                entry "capacity" (TomlString(Units.sizeText node.CapacityBytes))
        ]

    let private windowValue (window: Window) = [
        entry
            "days"
            (TomlArray [
                for name, day in Window.dayNames do
                    if window.Days.Contains day then
                        item (TomlString name)
            ])
        entry "from" (TomlString(Window.minuteText window.FromMinute))
        entry "to" (TomlString(Window.minuteText window.ToMinute))
        entry "time_zone" (TomlString window.TimeZone.Id)
    ]

    /// Key, value in the file's words (None: not given and without a default), origin.
    let private values (config: Configuration) : (string * TomlValue option * SettingOrigin) list =
        let setting key (convert: 'T -> TomlValue) (setting: Setting<'T>) =
            key, Some(convert setting.Value), setting.Origin

        let bool = TomlBoolean
        let int (n: int) = TomlInteger(int64 n)
        let duration = Units.durationText >> TomlString
        let endPoint (point: IPEndPoint) = TomlString(string point)
        let zone (zone: TimeZoneInfo) = TomlString zone.Id
        let migration = config.Migration
        let entropy = config.AntiEntropy

        [
            setting "listen.router" endPoint config.Listen.Router
            setting "listen.node" endPoint config.Listen.Node
            setting "listen.coordinator" endPoint config.Listen.Coordinator
            setting "defaults.shards" int config.Defaults.Shards
            setting "defaults.replication" int config.Defaults.Replication
            setting "migration.drain_timeout" duration migration.DrainTimeout
            setting "migration.skip_delta_pass" bool migration.SkipDeltaPass
            setting "migration.anti_entropy_enabled" bool migration.AntiEntropyEnabled
            setting "migration.retain_source" duration migration.RetainSource
            setting "migration.max_concurrent" int migration.MaxConcurrent
            setting "anti_entropy.enabled" bool entropy.Enabled
            setting "anti_entropy.schedule_cron" TomlString entropy.ScheduleCron
            setting "anti_entropy.time_zone" zone entropy.TimeZone
            setting "anti_entropy.shards_per_pass" int entropy.ShardsPerPass
            setting "anti_entropy.max_read_concurrency" int entropy.MaxReadConcurrency
            setting "anti_entropy.fingerprint_batch_size" int entropy.FingerprintBatchSize
            setting "anti_entropy.auto_repair" bool entropy.AutoRepair
            setting "change_feed.retention" duration config.ChangeFeed.Retention
            setting "change_feed.max_changes_per_shard" int config.ChangeFeed.MaxChangesPerShard
            "backup.directory",
            (if config.Backup.Directory.Value = "" then
                 None
             else
                 Some(TomlString config.Backup.Directory.Value)),
            config.Backup.Directory.Origin
            "backup.rpo",
            (if config.Backup.RecoveryPoint.Value = TimeSpan.Zero then
                 None
             else
                 Some(duration config.Backup.RecoveryPoint.Value)),
            config.Backup.RecoveryPoint.Origin
        ]

    let entries (config: Configuration) : ConfigEntry list = [
        for key, value, origin in values config ->
            {
                Key = key
                Text =
                    match value with
                    | Some value -> Toml.printValue value
                    | None -> "not set"
                Origin = origin
            }
        for name, window in Map.toList config.Windows do
            for part in windowValue window.Value ->
                {
                    Key = $"windows.{name}.{part.Key}"
                    Text = Toml.printValue part.Value
                    Origin = window.Origin
                }
        for node in config.Nodes ->
            {
                Key = $"nodes.{node.Node.Name}"
                Text = Toml.printValue (nodeValue node.Node)
                Origin = node.Origin
            }
    ]

    let find (name: string) (config: Configuration) : ConfigEntry list =
        entries config
        |> List.filter (fun entry ->
            entry.Key = name
            || entry.Key.EndsWith("." + name, StringComparison.Ordinal)
            || entry.Key.StartsWith(name + ".", StringComparison.Ordinal))

    let suggest (name: string) (config: Configuration) : string list =
        let all = entries config |> List.map _.Key
        let last (key: string) = key.Substring(key.LastIndexOf '.' + 1)
        let wanted = last name

        Spelling.near wanted (all |> List.map last |> List.distinct)
        |> List.collect (fun near -> all |> List.filter (fun key -> last key = near))

    let print (config: Configuration) : string =
        let section name = [
            for key, value, _ in values config do
                match value with
                | Some value when key.StartsWith(name + ".", StringComparison.Ordinal) ->
                    entry (key.Substring(name.Length + 1)) value
                | _ -> ()
        ]

        Toml.print [
            if not config.Nodes.IsEmpty then
                entry "nodes" (TomlArray(config.Nodes |> List.map (fun node -> item (nodeValue node.Node))))
            for name in [ "listen"; "defaults"; "migration"; "anti_entropy"; "change_feed"; "backup" ] do
                entry name (TomlTable(section name))
            entry
                "windows"
                (TomlTable [
                    for name, window in Map.toList config.Windows -> entry name (TomlTable(windowValue window.Value))
                ])
        ]

    let private problem (config: Configuration) key code (origin: SettingOrigin) message = {
        File = config.File
        Line =
            match origin with
            | SettingOrigin.File(_, line) -> line
            | _ -> 0
        Column = 1
        Key = key
        Code = code
        Message = message
    }

    let exposed (config: Configuration) : ConfigError list = [
        for key, setting in
            [
                "listen.router", config.Listen.Router
                "listen.node", config.Listen.Node
                "listen.coordinator", config.Listen.Coordinator
            ] do
            if not (IPAddress.IsLoopback setting.Value.Address) then
                problem
                    config
                    key
                    "invalid_config"
                    setting.Origin
                    ($"{setting.Value} can be reached from other machines, and there are neither keys nor TLS; "
                     + "listen on a loopback address, or start with --insecure")
    ]

    let warnings (config: Configuration) : ConfigError list = [
        let skips = config.Migration.SkipDeltaPass
        let cron = config.AntiEntropy.ScheduleCron

        if skips.Value && Schedule.leavesOutHours cron.Value then
            problem
                config
                "migration.skip_delta_pass"
                "rare_anti_entropy"
                skips.Origin
                ($"without the delta pass anti-entropy alone finds what a cutover missed, and anti_entropy.schedule_cron ({cron.Origin}) "
                 + $"is \"{cron.Value}\", which leaves hours out; have it run in every hour, such as \"0 * * * *\"")
    ]
