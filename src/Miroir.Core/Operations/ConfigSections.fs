namespace Miroir.Core

open System
open System.Net
open NCrontab

/// From a file's tables to the typed configuration, section by section.
module internal ConfigSections =

    /// Every key with a fixed name.
    let keys = [
        "listen.router"
        "listen.node"
        "listen.coordinator"
        "defaults.shards"
        "defaults.replication"
        "migration.drain_timeout"
        "migration.skip_delta_pass"
        "migration.anti_entropy_enabled"
        "migration.retain_source"
        "migration.max_concurrent"
        "anti_entropy.enabled"
        "anti_entropy.schedule_cron"
        "anti_entropy.time_zone"
        "anti_entropy.shards_per_pass"
        "anti_entropy.max_read_concurrency"
        "anti_entropy.fingerprint_batch_size"
        "anti_entropy.auto_repair"
        "change_feed.retention"
        "change_feed.max_changes_per_shard"
        "backup.directory"
        "backup.rpo"
    ]

    let private day = TimeSpan.FromDays 1.0
    let private tenYears = TimeSpan.FromDays 3650.0

    let private cron value =
        Want.text value
        |> Result.bind (fun text ->
            match CrontabSchedule.TryParse text with
            | null ->
                Error
                    $"expected five cron fields (minute, hour, day of the month, month, day of the week) such as \"0 */6 * * *\", not \"{text}\""
            | _ -> Ok text)

    let private listen (reader: ConfigReader) : ListenSettings =
        let at key port =
            reader.Get(key, IPEndPoint(IPAddress.Loopback, port), Want.endPoint)

        {
            Router = at "router" 7700
            Node = at "node" 7701
            Coordinator = at "coordinator" 7710
        }

    let private defaultsOf (reader: ConfigReader) : DefaultSettings = {
        Shards = reader.Get("shards", 16, Want.int 1 Layout.MaxShards)
        Replication = reader.Get("replication", 1, Want.int 1 7)
    }

    let private migration (reader: ConfigReader) : MigrationSettings = {
        DrainTimeout =
            reader.Get("drain_timeout", TimeSpan.FromSeconds 30.0, Want.duration (TimeSpan.FromMilliseconds 100.0) day)
        SkipDeltaPass = reader.Get("skip_delta_pass", false, Want.bool)
        AntiEntropyEnabled = reader.Get("anti_entropy_enabled", true, Want.bool)
        RetainSource = reader.Get("retain_source", TimeSpan.Zero, Want.duration TimeSpan.Zero (30.0 * day))
        MaxConcurrent = reader.Get("max_concurrent", 4, Want.int 1 1024)
    }

    let private antiEntropy findZone (reader: ConfigReader) : AntiEntropySettings = {
        Enabled = reader.Get("enabled", true, Want.bool)
        ScheduleCron = reader.Get("schedule_cron", "0 */6 * * *", cron)
        TimeZone = reader.Get("time_zone", TimeZoneInfo.Utc, Want.zone findZone)
        ShardsPerPass = reader.Get("shards_per_pass", 0, Want.int 0 Layout.MaxShards)
        MaxReadConcurrency = reader.Get("max_read_concurrency", 2, Want.int 1 256)
        FingerprintBatchSize = reader.Get("fingerprint_batch_size", 1000, Want.int 1 1_000_000)
        AutoRepair = reader.Get("auto_repair", true, Want.bool)
    }

    let private changeFeed (reader: ConfigReader) : ChangeFeedSettings = {
        Retention = reader.Get("retention", day, Want.duration (TimeSpan.FromSeconds 1.0) tenYears)
        MaxChangesPerShard = reader.Get("max_changes_per_shard", 1_000_000, Want.int 1 Int32.MaxValue)
    }

    let private backup (reader: ConfigReader) : BackupSettings = {
        Directory =
            reader.Get(
                "directory",
                "",
                Want.text
                >> Result.bind (fun text ->
                    if text = "" then
                        Error "expected a directory; leave the key out for none"
                    else
                        Ok text)
            )
        RecoveryPoint = reader.Get("rpo", TimeSpan.Zero, Want.duration (TimeSpan.FromSeconds 1.0) tenYears)
    }

    let private isName (text: string) =
        text <> ""
        && text.Length <= 64
        && text
           |> Seq.forall (fun c -> Char.IsAsciiLetterOrDigit c || c = '-' || c = '_' || c = '.')

    let private name value =
        Want.text value
        |> Result.bind (fun text ->
            if isName text then
                Ok text
            else
                Error $"expected 1 to 64 letters, digits, '-', '_' or '.', not \"{text}\"")

    let private address value =
        Want.text value
        |> Result.bind (fun text ->
            match Uri.TryCreate(text, UriKind.Absolute) with
            | true, uri when
                (nonNull uri).Scheme = Uri.UriSchemeHttp
                || (nonNull uri).Scheme = Uri.UriSchemeHttps
                ->
                Ok text
            | _ -> Error $"expected a base address such as \"http://10.0.0.1:7701\", not \"{text}\"")

    let private node file (at: TomlPosition) (reader: ConfigReader) : NodeSettings =
        for key in [ "name"; "address" ] do
            if not (reader.Has key) then
                reader.Wrong(at, key, "is missing: each of [[nodes]] needs a name and an address")

        {
            Origin = SettingOrigin.File(file, at.Line)
            Node = {
                Name = reader.Get("name", "", name).Value
                Address = reader.Get("address", "", address).Value
                Zone = reader.Get("zone", "", name).Value
                Weight =
                    reader
                        .Get(
                            "weight",
                            1.0,
                            Want.number (fun w -> w > 0.0 && w <= 1000.0) "a weight above 0, at most 1000"
                        )
                        .Value
                CapacityBytes = reader.Get("capacity", 0L, Want.size).Value
                Role = NodeRole.Active
            }
        }

    let private days value =
        let one item =
            match item with
            | TomlString text ->
                Window.dayNames
                |> List.tryFind (fun (name, full) ->
                    String.Equals(text, name, StringComparison.OrdinalIgnoreCase)
                    || String.Equals(text, string full, StringComparison.OrdinalIgnoreCase))
                |> Option.map snd
            | _ -> None

        match value with
        | TomlString "daily" -> Ok Window.daily
        | TomlArray(_ :: _ as items) when items |> List.forall (fun i -> (one i.Value).IsSome) ->
            Ok(items |> List.choose (fun i -> one i.Value) |> Set.ofList)
        | other ->
            Error
                $"expected \"daily\" or days such as [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"], not {Toml.printValue other}"

    let private minute (last: int) value =
        match value with
        | TomlString text ->
            match Window.parseMinute text with
            | ValueSome minute when minute <= last -> Ok minute
            | _ -> Error $"expected a time of day such as \"22:00\", not \"{text}\""
        | other -> Error $"expected a time of day such as \"22:00\", not {Toml.describe other}"

    let private window findZone file (entry: TomlEntry) (reader: ConfigReader) : Setting<Window> =
        if not (isName entry.Key) then
            reader.Wrong(entry.At, "", "a window's name is 1 to 64 letters, digits, '-', '_' or '.'")

        for key in [ "from"; "to" ] do
            if not (reader.Has key) then
                reader.Wrong(entry.At, key, "is missing: a window needs from and to, such as \"22:00\"")

        let from = reader.Get("from", 0, minute 1439)
        let until = reader.Get("to", 1440, minute 1440)

        if from.Value = until.Value then
            match reader.Entry "to" with
            | Some entry ->
                reader.Wrong(
                    entry.At,
                    "to",
                    "is the same as from: the window would never be open; for a whole day write 00:00 and 24:00"
                )
            | None -> ()

        {
            Origin = SettingOrigin.File(file, entry.At.Line)
            Value = {
                Name = entry.Key
                Days = reader.Get("days", Window.daily, days).Value
                FromMinute = from.Value
                ToMinute = until.Value
                TimeZone = reader.Get("time_zone", TimeZoneInfo.Utc, Want.zone findZone).Value
            }
        }

    /// Each of the two keys of anti-entropy defaults to the other.
    let private follow (key: string) (other: Setting<bool>) (setting: Setting<bool>) : Setting<bool> =
        match setting.Origin, other.Origin with
        | SettingOrigin.Default, SettingOrigin.File(file, line) -> {
            Value = other.Value
            Origin = SettingOrigin.Follows(key, file, line)
          }
        | _ -> setting

    let private contradictions (reader: ConfigReader) (sections: ConfigReader * ConfigReader) (config: Configuration) =
        let migration, entropy = sections
        let at (section: ConfigReader) key = (section.Entry key |> Option.get).At

        if
            config.Migration.AntiEntropyEnabled.Value
            && not config.AntiEntropy.Enabled.Value
        then
            let entropyLine = (at entropy "enabled").Line

            migration.Wrong(
                at migration "anti_entropy_enabled",
                "anti_entropy_enabled",
                $"is true, but anti_entropy.enabled (line {entropyLine}) is false; set both alike, or leave one out"
            )
        elif
            config.Migration.SkipDeltaPass.Value
            && not config.Migration.AntiEntropyEnabled.Value
        then
            let place = at migration "skip_delta_pass"

            reader.Errors.Add {
                File = config.File
                Line = place.Line
                Column = place.Column
                Key = "migration.skip_delta_pass"
                Code = "UnsafeCutoverNoAntiEntropy"
                Message =
                    "UnsafeCutoverNoAntiEntropy: without the delta pass only anti-entropy would find what a cutover missed, "
                    + "and it is off; set skip_delta_pass = false or turn anti-entropy on"
            }

    let private duplicates (reader: ConfigReader) (nodes: NodeSettings list) (items: TomlItem list) =
        let check key (pick: NodeInfo -> string) =
            List.zip nodes items
            |> List.groupBy (fun (node, _) -> pick node.Node)
            |> List.iter (fun (value, same) ->
                if value <> "" then
                    for _, item in List.tail same do
                        reader.Wrong(item.At, $"nodes.{key}", $"\"{value}\" is another node's already"))

        check "name" _.Name
        check "address" _.Address

    let read findZone file (table: TomlEntry list) (errors: ResizeArray<ConfigError>) : Configuration =
        let root = ConfigReader(file, "", table, errors)

        let section key (read: ConfigReader -> 'T) =
            let reader = root.Section key
            let value = read reader
            reader.Finish keys
            reader, value

        let _, listen = section "listen" listen
        let _, defaults = section "defaults" defaultsOf
        let migrationSection, migration = section "migration" migration
        let entropySection, entropy = section "anti_entropy" (antiEntropy findZone)
        let _, feed = section "change_feed" changeFeed
        let _, backup = section "backup" backup

        let nodes =
            match root.Entry "nodes" with
            | None -> []
            | Some { Value = TomlArray items } ->
                let tables =
                    items
                    |> List.filter (fun item ->
                        match item.Value with
                        | TomlTable _ -> true
                        | _ ->
                            root.Wrong(item.At, "nodes", $"expected a table, not {Toml.describe item.Value}")
                            false)

                let nodes =
                    tables
                    |> List.map (fun item ->
                        let entries =
                            match item.Value with
                            | TomlTable entries -> entries
                            | _ -> []

                        let reader = ConfigReader(file, "nodes", entries, errors)
                        let node = node file item.At reader
                        reader.Finish keys
                        node)

                duplicates root nodes tables
                nodes
            | Some entry ->
                root.Wrong(entry.At, "nodes", $"expected [[nodes]], not {Toml.describe entry.Value}")
                []

        let windows =
            match root.Entry "windows" with
            | None -> []
            | Some { Value = TomlTable entries } -> [
                for entry in entries do
                    match entry.Value with
                    | TomlTable inner ->
                        let reader = ConfigReader(file, $"windows.{entry.Key}", inner, errors)
                        entry.Key, window findZone file entry reader
                        reader.Finish keys
                    | other ->
                        root.Wrong(
                            entry.At,
                            $"windows.{entry.Key}",
                            $"expected a table: [windows.{entry.Key}], not {Toml.describe other}"
                        )
              ]
            | Some entry ->
                root.Wrong(entry.At, "windows", $"expected [windows.NAME], not {Toml.describe entry.Value}")
                []

        root.Finish keys

        let config = {
            File = file
            Listen = listen
            Defaults = defaults
            Migration = {
                migration with
                    AntiEntropyEnabled = follow "anti_entropy.enabled" entropy.Enabled migration.AntiEntropyEnabled
            }
            AntiEntropy = {
                entropy with
                    Enabled = follow "migration.anti_entropy_enabled" migration.AntiEntropyEnabled entropy.Enabled
            }
            ChangeFeed = feed
            Backup = backup
            Nodes = nodes
            Windows =
                Map.ofList [
                    Window.offPeak.Name,
                    {
                        Value = Window.offPeak
                        Origin = SettingOrigin.Default
                    }
                    yield! windows
                ]
        }

        contradictions root (migrationSection, entropySection) config
        config
