using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Coordination;
using Miroir.Server.Hosts;
using Miroir.Stores;
using Miroir.Stores.Sqlite;

namespace Miroir.Server.Commands;

/// <summary>miroir.toml, and what of it the processes go by.</summary>
internal static class Configured
{
    /// <summary>From --config, else MIROIR_CONFIG, else ./miroir.toml where there is one, else the defaults.</summary>
    /// <exception cref="UsageException">The file is missing or wrong; every error with its line.</exception>
    public static Configuration Load(Arguments arguments)
    {
        var file = arguments.Text("--config", "FILE") ?? Environment.GetEnvironmentVariable("MIROIR_CONFIG");
        if (string.IsNullOrEmpty(file))
        {
            if (!File.Exists("miroir.toml"))
                return Config.defaults;
            file = "miroir.toml";
        }
        string text;
        try
        {
            text = File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--config: {file} can't be read: {e.Message}");
        }
        var parsed = Config.parse(FSharpFunc<string, TimeZoneInfo?>.FromConverter(FindZone), file, text);
        if (parsed.IsError)
            throw new UsageException(string.Join(Environment.NewLine, parsed.ErrorValue.Select(e => e.ToString())));
        return parsed.ResultValue;
    }

    public static BindAddress Bind(System.Net.IPEndPoint endpoint) => new(endpoint.Address, endpoint.Port);

    public static CoordinatorOptions Coordinator(Configuration config)
    {
        return new CoordinatorOptions
        {
            DefaultShards = config.Defaults.Shards.Value,
            DefaultReplication = config.Defaults.Replication.Value,
            MaxConcurrentMigrations = config.Migration.MaxConcurrent.Value,
            MigrationLimits = Limits.Configured(
                (int)config.Migration.DrainTimeout.Value.TotalMilliseconds,
                (int)config.Migration.RetainSource.Value.TotalMilliseconds,
                config.Migration.SkipDeltaPass.Value,
                config.Migration.AntiEntropyEnabled.Value
            ),
            AntiEntropy = new EntropyOptions
            {
                Enabled = config.AntiEntropy.Enabled.Value,
                Schedule = config.AntiEntropy.ScheduleCron.Value,
                Zone = config.AntiEntropy.TimeZone.Value,
                ShardsPerPass = config.AntiEntropy.ShardsPerPass.Value,
                MaxReadConcurrency = config.AntiEntropy.MaxReadConcurrency.Value,
                BatchEntries = config.AntiEntropy.FingerprintBatchSize.Value,
                AutoRepair = config.AntiEntropy.AutoRepair.Value,
            },
        };
    }

    /// <summary>How a node keeps its stores.</summary>
    public static SqliteNodeStoreOptions Store(Configuration config) =>
        new()
        {
            Log = ProcessLife.Log,
            Changes = new ChangeRetention
            {
                Time = config.ChangeFeed.Retention.Value,
                MaxChanges = config.ChangeFeed.MaxChangesPerShard.Value,
            },
        };

    /// <summary>The nodes that a new cluster begins with: those of the file and of --node NAME=ADDRESS.</summary>
    public static IReadOnlyList<NodeInfo> Seed(Configuration config, Arguments arguments) =>
        [
            .. config.Nodes.Select(n => n.Node),
            .. arguments
                .Many("--node", "NAME=ADDRESS")
                .Select(text =>
                {
                    var at = text.IndexOf('=');
                    if (at < 1)
                        throw new UsageException(
                            $"--node: `{text}` is not NAME=ADDRESS, such as n1=http://127.0.0.1:7701"
                        );
                    return new NodeInfo(
                        Arguments.CheckName("--node", text[..at]),
                        Arguments.CheckUrl("--node", text[(at + 1)..]),
                        "",
                        1,
                        0,
                        NodeRole.Active
                    );
                }),
        ];

    private static TimeZoneInfo? FindZone(string name) =>
        TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone) ? zone : null;
}
