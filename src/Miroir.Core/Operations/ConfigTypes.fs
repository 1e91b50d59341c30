namespace Miroir.Core

open System
open System.Net

/// `[listen]`: where processes answer.
type ListenSettings = {
    /// The router's document and administration API (`router`, "127.0.0.1:7700").
    Router: Setting<IPEndPoint>
    /// A data node's wire (`node`, "127.0.0.1:7701").
    Node: Setting<IPEndPoint>
    /// The coordinator's wire (`coordinator`, "127.0.0.1:7710").
    Coordinator: Setting<IPEndPoint>
}

/// `[defaults]` of new indexes.
type DefaultSettings = {
    Shards: Setting<int>
    Replication: Setting<int>
}

/// `[migration]`
type MigrationSettings = {
    DrainTimeout: Setting<TimeSpan>
    SkipDeltaPass: Setting<bool>
    AntiEntropyEnabled: Setting<bool>
    RetainSource: Setting<TimeSpan>
    MaxConcurrent: Setting<int>
}

/// `[anti_entropy]`
type AntiEntropySettings = {
    Enabled: Setting<bool>
    /// Five fields: minute, hour, day of the month, month, day of the week.
    ScheduleCron: Setting<string>
    TimeZone: Setting<TimeZoneInfo>
    /// 0: all.
    ShardsPerPass: Setting<int>
    MaxReadConcurrency: Setting<int>
    /// Entries a batch.
    FingerprintBatchSize: Setting<int>
    AutoRepair: Setting<bool>
}

/// `[change_feed]`
type ChangeFeedSettings = {
    /// How long a change stays in the feed.
    Retention: Setting<TimeSpan>
    /// How many changes of one shard a node keeps.
    MaxChangesPerShard: Setting<int>
}

/// `[backup]`
type BackupSettings = {
    /// "" where none is given.
    Directory: Setting<string>
    /// How old the newest backup may be; zero where nothing is given.
    RecoveryPoint: Setting<TimeSpan>
}

/// One of `[[nodes]]`: a node that a new cluster begins with.
type NodeSettings = {
    Node: NodeInfo
    Origin: SettingOrigin
}

type Configuration = {
    /// The file's name; "" for the built-in defaults.
    File: string
    Listen: ListenSettings
    Defaults: DefaultSettings
    Migration: MigrationSettings
    AntiEntropy: AntiEntropySettings
    ChangeFeed: ChangeFeedSettings
    Backup: BackupSettings
    Nodes: NodeSettings list
    /// By name, the built-in ones included.
    Windows: Map<string, Setting<Window>>
}

/// A key's value in force, as text.
type ConfigEntry = {
    /// Such as "migration.drain_timeout".
    Key: string
    /// As it would stand in the file.
    Text: string
    Origin: SettingOrigin
}
