module Miroir.Core.Tests.Operations.ConfigTests

open System
open System.Net
open FsCheck
open FsCheck.FSharp
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Core

let private zones = [
    TimeZoneInfo.CreateCustomTimeZone("Test/East", TimeSpan.FromHours 9.0, "", "")
    TimeZoneInfo.CreateCustomTimeZone("Test/West", TimeSpan.FromMinutes -210.0, "", "")
]

let private findZone name : TimeZoneInfo | null =
    match zones |> List.tryFind (fun z -> z.Id = name) with
    | Some zone -> zone
    | None -> null

let private parse text =
    Config.parse findZone "miroir.toml" text

let private accepted text =
    match parse text with
    | Ok config -> config
    | Error errors ->
        Assert.Fail(String.Join("\n", errors))
        Config.defaults

let private errorsOf text =
    match parse text with
    | Ok _ -> []
    | Error errors -> errors

let private keyed config =
    Config.entries config |> List.map (fun e -> e.Key, e.Text)

let private given value = {
    Value = value
    Origin = SettingOrigin.Default
}

let private config: Gen<Configuration> =
    let seconds least most =
        Gen.choose (least, most)
        |> Gen.map (fun s -> given (TimeSpan.FromSeconds(float s)))

    let between least most =
        Gen.choose (least, most) |> Gen.map given

    let flag = Gen.elements [ true; false ]
    let zone = Gen.elements (TimeZoneInfo.Utc :: zones)

    let window =
        gen {
            let! from = Gen.choose (0, 1439)
            let! until = Gen.choose (0, 1440) |> Gen.filter (fun t -> t <> from)
            let! days = Gen.nonEmptyListOf (Gen.elements (List.map snd Window.dayNames))
            let! zone = zone

            return {
                Name = ""
                Days = Set.ofList days
                FromMinute = from
                ToMinute = until
                TimeZone = zone
            }
        }

    let node n =
        gen {
            let! weight = Gen.elements [ 0.5; 1.0; 2.25; 1000.0 ]
            let! capacity = Gen.elements [ 0L; 1L; 1_500L; 1_000_000L; 1L <<< 40 ]
            let! zone = Gen.elements [ ""; "a"; "b-1" ]

            return {
                Origin = SettingOrigin.Default
                Node = {
                    Name = $"node-{n}"
                    Address = $"http://10.0.0.{n}:7701"
                    Zone = zone
                    Weight = weight
                    CapacityBytes = capacity
                    Role = NodeRole.Active
                }
            }
        }

    gen {
        let! shards = between 1 Layout.MaxShards
        let! replication = between 1 7
        let! drain = seconds 1 86_400
        let! retain = seconds 0 86_400
        let! concurrent = between 1 1024
        let! skip = flag
        let! enabled = flag
        let! migrations = flag |> Gen.map (fun m -> m && enabled)
        let! perPass = between 0 Layout.MaxShards
        let! cron = Gen.elements [ "0 */6 * * *"; "15 2 * * 1-5"; "0,30 * 1 1 *" ]
        let! cronZone = zone
        let! rpo = seconds 1 1_000_000
        let! feedRetention = seconds 1 1_000_000
        let! feedChanges = between 1 Int32.MaxValue

        let! names =
            Gen.listOf (Gen.elements [ "off-peak"; "night"; "week.end" ])
            |> Gen.map List.distinct

        let! windows = Gen.listOfLength names.Length window
        let! nodeCount = Gen.choose (0, 4)
        let! nodes = [ 1..nodeCount ] |> List.map node |> Gen.sequenceToList
        let defaults = Config.defaults

        return {
            defaults with
                Listen.Router = given (IPEndPoint(IPAddress.IPv6Loopback, 80))
                Defaults = {
                    Shards = shards
                    Replication = replication
                }
                Migration = {
                    DrainTimeout = drain
                    SkipDeltaPass = given (skip && migrations)
                    AntiEntropyEnabled = given migrations
                    RetainSource = retain
                    MaxConcurrent = concurrent
                }
                AntiEntropy = {
                    defaults.AntiEntropy with
                        Enabled = given enabled
                        ScheduleCron = given cron
                        TimeZone = given cronZone
                        ShardsPerPass = perPass
                }
                ChangeFeed = {
                    Retention = feedRetention
                    MaxChangesPerShard = feedChanges
                }
                Backup = {
                    Directory = given "/var/backups/miroir"
                    RecoveryPoint = rpo
                }
                Nodes = nodes
                Windows =
                    List.zip names windows
                    |> List.fold
                        (fun map (name, window) -> Map.add name (given { window with Name = name }) map)
                        defaults.Windows
        }
    }

type Configs =
    static member Config() = Arb.fromGen config

[<Property(Arbitrary = [| typeof<Configs> |])>]
let ``a printed configuration parses to the same values`` (config: Configuration) =
    match parse (Config.print config) with
    | Ok read -> keyed read = keyed config
    | Error errors -> failwith $"{errors}"

[<Property>]
let ``a duration's text parses to the duration`` (NonNegativeInt ms) =
    let duration = TimeSpan.FromMilliseconds(float ms)
    Units.parseDuration (Units.durationText duration) = Ok duration

[<Property>]
let ``a size's text parses to the size`` (bytes: int64) =
    let bytes = if bytes < 0L then ~~~bytes else bytes
    Units.parseSize (Units.sizeText bytes) = Ok bytes

[<Test>]
let ``units are read, and asked for where they are missing`` () =
    Assert.That(Units.parseDuration "1m30s", Is.EqualTo(Result<TimeSpan, string>.Ok(TimeSpan.FromSeconds 90.0)))
    Assert.That(Units.parseDuration "500ms", Is.EqualTo(Result<TimeSpan, string>.Ok(TimeSpan.FromMilliseconds 500.0)))
    Assert.That(Units.parseSize "10kb", Is.EqualTo(Result<int64, string>.Ok 10_000L))
    Assert.That(Units.parseSize "1MiB", Is.EqualTo(Result<int64, string>.Ok 1_048_576L))
    Assert.That(Units.parseSize "1.5kb", Is.EqualTo(Result<int64, string>.Ok 1_500L))

    for bad in [ "30"; "s"; "-1s"; "1 s"; "30sec"; "" ] do
        Assert.That((Units.parseDuration bad).IsError, bad)

    for bad in [ "10"; "kb"; "-1b"; "0.3b"; "10xb"; "99999999tib" ] do
        Assert.That((Units.parseSize bad).IsError, bad)

[<Test>]
let ``the contract's defaults are in force without a file`` () =
    let expected = [
        "listen.router", "\"127.0.0.1:7700\""
        "listen.node", "\"127.0.0.1:7701\""
        "listen.coordinator", "\"127.0.0.1:7710\""
        "defaults.shards", "16"
        "defaults.replication", "1"
        "migration.drain_timeout", "\"30s\""
        "migration.skip_delta_pass", "false"
        "migration.anti_entropy_enabled", "true"
        "migration.retain_source", "\"0s\""
        "migration.max_concurrent", "4"
        "anti_entropy.enabled", "true"
        "anti_entropy.schedule_cron", "\"0 */6 * * *\""
        "anti_entropy.time_zone", "\"UTC\""
        "anti_entropy.shards_per_pass", "0"
        "anti_entropy.max_read_concurrency", "2"
        "anti_entropy.fingerprint_batch_size", "1000"
        "anti_entropy.auto_repair", "true"
        "change_feed.retention", "\"1d\""
        "change_feed.max_changes_per_shard", "1000000"
        "backup.directory", "not set"
        "backup.rpo", "not set"
        "windows.off-peak.days", "[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]"
        "windows.off-peak.from", "\"22:00\""
        "windows.off-peak.to", "\"06:00\""
        "windows.off-peak.time_zone", "\"UTC\""
    ]

    Assert.That(keyed Config.defaults, Is.EqualTo<(string * string) list> expected)
    Assert.That(keyed (accepted ""), Is.EqualTo<(string * string) list> expected)

[<Test>]
let ``a value remembers where it comes from`` () =
    let config = accepted "[migration]\n\ndrain_timeout = \"1m\"\n"

    match Config.find "drain_timeout" config with
    | [ entry ] ->
        Assert.That(
            $"{entry.Key} = {entry.Text} ({entry.Origin})",
            Is.EqualTo "migration.drain_timeout = \"1m\" (miroir.toml:3)"
        )
    | other -> Assert.Fail $"{other}"

    Assert.That(string config.Migration.RetainSource.Origin, Is.EqualTo "default")
    Assert.That(Config.suggest "drain_timeuot" config, Is.EqualTo<string list> [ "migration.drain_timeout" ])

/// migration.anti_entropy_enabled, anti_entropy.enabled: what is then in force, or None where it is an error.
let private entropyRules = [
    None, None, Some(true, true)
    None, Some true, Some(true, true)
    None, Some false, Some(false, false)
    Some true, None, Some(true, true)
    Some false, None, Some(false, false)
    Some true, Some true, Some(true, true)
    Some false, Some true, Some(false, true)
    Some false, Some false, Some(false, false)
    Some true, Some false, None
]

let private entropyText skip migration entropy =
    let line key value =
        match value with
        | Some value -> $"{key} = {(string value).ToLowerInvariant()}\n"
        | None -> ""

    "[migration]\n"
    + line "skip_delta_pass" skip
    + line "anti_entropy_enabled" migration
    + "[anti_entropy]\n"
    + line "enabled" entropy

[<Test>]
let ``the two keys of anti-entropy default to each other`` () =
    for migration, entropy, expected in entropyRules do
        match parse (entropyText None migration entropy), expected with
        | Ok config, Some expected ->
            let actual =
                config.Migration.AntiEntropyEnabled.Value, config.AntiEntropy.Enabled.Value

            Assert.That(actual, Is.EqualTo expected)
        | Error [ error ], None ->
            Assert.That(error.Key, Is.EqualTo "migration.anti_entropy_enabled")
            Assert.That(error.Line, Is.EqualTo 2)
        | other, _ -> Assert.Fail $"{migration} {entropy}: {other}"

[<Test>]
let ``no delta pass without anti-entropy`` () =
    for migration, entropy, expected in entropyRules do
        match expected with
        | None -> ()
        | Some(counted, _) ->
            match parse (entropyText (Some true) migration entropy) with
            | Ok _ -> Assert.That(counted, $"{migration} {entropy}")
            | Error [ error ] ->
                Assert.That(counted, Is.False)
                Assert.That(error.Code, Is.EqualTo "UnsafeCutoverNoAntiEntropy")
                Assert.That(error.Key, Is.EqualTo "migration.skip_delta_pass")
            | Error other -> Assert.Fail $"{other}"

[<Test>]
let ``all errors are told at once, each with line and key`` () =
    let text =
        "[migration]\n\
         drain_timeuot = \"30s\"\n\
         max_concurrent = 0\n\
         skip_delta_pass = \"no\"\n\
         retain_source = 5\n\
         [anti_entropy]\n\
         schedule_cron = \"0 25 * * *\"\n\
         drain_timeout = \"1s\"\n\
         time_zone = \"Mars/Olympus\"\n\
         [[nodes]]\n\
         name = \"a\"\n\
         address = \"10.0.0.1\"\n\
         weight = 0\n\
         capacity = \"10\"\n\
         [[nodes]]\n\
         name = \"a\"\n\
         [windows.w]\n\
         days = [\"mon\", \"someday\"]\n\
         from = \"25:00\"\n\
         to = \"06:00\"\n\
         [listen]\n\
         router = \"localhost\"\n\
         [migratoin]\n"

    let expected = [
        2, "migration.drain_timeuot", "did you mean migration.drain_timeout?"
        3, "migration.max_concurrent", "expected 1 to 1024, not 0"
        4, "migration.skip_delta_pass", "expected true or false, not the string \"no\""
        5, "migration.retain_source", "expected a duration such as \"30s\", not the integer 5"
        7, "anti_entropy.schedule_cron", "five cron fields"
        8, "anti_entropy.drain_timeout", "did you mean migration.drain_timeout?"
        9, "anti_entropy.time_zone", "there is no time zone \"Mars/Olympus\""
        12, "nodes.address", "expected a base address"
        13, "nodes.weight", "a weight above 0"
        14, "nodes.capacity", "expected a size with its unit"
        15, "nodes.address", "is missing"
        15, "nodes.name", "another node's already"
        18, "windows.w.days", "expected \"daily\" or days"
        19, "windows.w.from", "expected a time of day"
        22, "listen.router", "expected an IP address and a port"
        23, "migratoin", "did you mean migration?"
    ]

    let actual = errorsOf text

    Assert.That(
        actual |> List.map (fun e -> e.Line, e.Key),
        Is.EqualTo<(int * string) list>(expected |> List.map (fun (l, k, _) -> l, k))
    )

    for error, (_, _, words) in List.zip actual expected do
        Assert.That(error.Message, Does.Contain words)
        Assert.That(string error, Does.StartWith $"miroir.toml:{error.Line}:")

[<Test>]
let ``a window that is never open is refused`` () =
    match errorsOf "[windows.w]\nfrom = \"06:00\"\nto = \"06:00\"\n" with
    | [ error ] -> Assert.That(error.Key, Is.EqualTo "windows.w.to")
    | other -> Assert.Fail $"{other}"

[<Test>]
let ``listening for other machines is told of`` () =
    let config = accepted "[listen]\nrouter = \"0.0.0.0:7700\"\nnode = \"[::1]:7701\"\n"

    match Config.exposed config with
    | [ error ] ->
        Assert.That(error.Key, Is.EqualTo "listen.router")
        Assert.That(error.Line, Is.EqualTo 2)
        Assert.That(error.Message, Does.Contain "--insecure")
    | other -> Assert.Fail $"{other}"

    Assert.That(Config.exposed Config.defaults, Is.Empty)

[<TestCase("0 */6 * * *", true)>]
[<TestCase("30 * * * *", false)>]
[<TestCase("*/10 8-18 * * *", true)>]
[<TestCase("0 * * 2-12 *", true)>]
let ``leaving the delta pass out where anti-entropy is rarer than hourly is warned of`` (cron: string, isWarned: bool) =
    let config =
        accepted $"[migration]\nskip_delta_pass = true\n[anti_entropy]\nschedule_cron = \"{cron}\"\n"

    match Config.warnings config with
    | [ warning ] when isWarned ->
        Assert.That(warning.Key, Is.EqualTo "migration.skip_delta_pass")
        Assert.That(warning.Line, Is.EqualTo 2)
        Assert.That(warning.Message, Does.Contain cron)
    | [] when not isWarned -> ()
    | other -> Assert.Fail $"{other}"

    let compared = accepted $"[anti_entropy]\nschedule_cron = \"{cron}\"\n"
    Assert.That(Config.warnings compared, Is.Empty)
