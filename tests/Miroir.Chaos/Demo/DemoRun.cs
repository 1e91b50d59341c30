using System.Diagnostics;
using Miroir.Chaos.Processes;
using Miroir.Oracle;

namespace Miroir.Chaos.Demo;

/// <summary>
/// The main job, for real: load, write all the while, add a node, reshard, cut over, and hold everything against what
/// the writers were told.
/// </summary>
internal sealed class DemoRun(DemoOptions options, TextWriter output)
{
    public const string Index = "packages";

    /// <summary>Share of the puts on the targets that fail.</summary>
    private const double RefusePut = 0.02;

    /// <summary>Operations beside the copy before the cutover begins; waited for half a minute at most.</summary>
    private const int EnoughBeforeCutover = 9_000;

    private Outage? _outage;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly SocketsHttpHandler _handler = new()
    {
        MaxConnectionsPerServer = 256,
        ConnectTimeout = TimeSpan.FromSeconds(5),
    };

    private double Now => _clock.Elapsed.TotalMilliseconds;

    private void Say(string text) => output.WriteLine($"{_clock.Elapsed.TotalSeconds, 6:F1} s  {text}");

    public async Task<DemoResult> RunAsync(string folder, CancellationToken cancel)
    {
        using var http = new HttpClient(_handler) { Timeout = TimeSpan.FromSeconds(15) };
        var mutant = options.IsControl ? "delta-pass-left-out" : "";
        await using var cluster = new Cluster(folder, RefusePut, mutant);
        using var history = new History();
        var client = new DocumentClient(http, Index);

        var dataset = await Dataset.LoadAsync(options);
        Say($"{dataset.Documents.Count:N0} documents from {dataset.Source}");
        foreach (var name in (string[])["node-1", "node-2", "node-3"])
            await cluster.StartNodeAsync(name);
        await cluster.StartCoordinatorAsync(options.Revert ? "[migration]\nretain_source = \"1m\"\n" : "");
        var skew = TimeSpan.FromSeconds(options.ClockSkewSeconds);
        for (var i = 0; i < options.Routers; i++)
        {
            // From half of it ahead to half of it behind.
            var offset = options.Routers > 1 ? skew / 2 - skew * i / (options.Routers - 1) : TimeSpan.Zero;
            await cluster.StartRouterAsync($"router-{i + 1}", offset);
        }

        Uri[] Routers() => [.. cluster.Routers.Select(r => new Uri(r.Address))];
        var coordinator = new Uri(cluster.Coordinator.Address);
        var watch = new MigrationWatch(http, coordinator, _clock);
        Say(
            $"started 3 nodes, 1 coordinator, {options.Routers} router(s)"
                + (options.ClockSkewSeconds > 0 ? $", their clocks {options.ClockSkewSeconds} s apart" : "")
        );

        await client.CreateIndexAsync(Routers()[0], dataset.PrimaryKey, options.OldShards, options.Replication);
        var importSeconds = await Importer.RunAsync(http, Routers()[0], Index, dataset, history);
        Say(
            $"imported {dataset.Documents.Count:N0} documents into '{Index}', {options.OldShards} shards, {dataset.Documents.Count / importSeconds:N0} documents/s"
        );

        var workload = new Workload(client, Routers, history, dataset, _clock, options.Clients, options.Rate);
        workload.Start();
        await Task.Delay(TimeSpan.FromSeconds(options.IsControl ? 1 : 6), cancel);

        await cluster.StartNodeAsync("node-4");
        await watch.CommandAsync("/_miroir/nodes", new { name = "node-4", address = cluster.Nodes[^1].Address });
        var startedMs = Now;
        var atStart = workload.Operations;
        var started = await watch.CommandAsync(
            "/_miroir/reshards",
            new
            {
                index = Index,
                newShards = options.NewShards,
                throttle = options.IsControl ? 2_000 : 10_000,
            }
        );
        var id = started.GetProperty("id").GetInt64();
        Say(
            $"added node-4; Migration started: ID={id}, {options.OldShards} -> {options.NewShards} shards, {RefusePut:P0} of puts fail on the targets"
        );

        await watch.UntilAsync(id, () => watch.IsReadyForCutover, TimeSpan.FromSeconds(60));
        Say($"copied {watch.View.GetProperty("documentsCopied").GetInt64():N0} documents while clients wrote");
        // A finished copy goes on dual-writing until it is cut over: on a slow machine, until enough has been written.
        for (var i = 0; !options.IsControl && i < 300 && workload.Operations - atStart < EnoughBeforeCutover; i++)
            await Task.Delay(100, cancel);
        var cutoverMs = Now;
        await watch.CommandAsync($"/_miroir/reshards/{id}/cutover", null);
        var killed = options.Revert
            ? await RevertAsync(cluster, watch, id, cancel)
            : await WatchCutoverAsync(cluster, watch, id);
        var endedMs = Now;
        if (watch.Status != (options.Revert ? "Aborted" : "Complete"))
            throw new InvalidOperationException($"the migration ended as {watch.Status}: {watch.View}");
        Say($"{(options.Revert ? "cutover and revert" : "cutover")} complete in {(endedMs - cutoverMs) / 1000:F1} s");

        await Task.Delay(TimeSpan.FromSeconds(options.IsControl ? 1 : 6), cancel);
        await workload.StopAsync();
        var samples = workload.Samples;
        Say($"writers stopped after {samples.Count:N0} operations; reading every key back");

        var judged = await FinalCheck.JudgeAsync(cluster, client, Index, history);
        Say($"read {judged.Keys:N0} keys, dumped {judged.Dumped:N0} entries of {cluster.Nodes.Count} nodes; checked");
        // In the control, differences are there on purpose.
        var passes = options.IsControl ? default : await LastPasses.RunAsync(coordinator, Index, cancel);
        cluster.Measure();

        var result = new DemoResult
        {
            Options = options,
            Dataset = dataset,
            ImportSeconds = importSeconds,
            Samples = samples,
            ByKind = workload.ByKind,
            Watch = watch,
            StartedMs = startedMs,
            CutoverMs = cutoverMs,
            EndedMs = endedMs,
            Refused = client.Refused,
            Unknown = client.Unknown,
            Keys = judged.Keys,
            Checked = judged.Operations,
            Verdict = judged.Verdict,
            Killed = killed,
            Outage = _outage?.Describe(samples) ?? "",
            Run = passes.Run,
            Verify = passes.Verify,
            PeakBytes = cluster.Processes.Select(p => (p.Name, p.PeakBytes)).ToList(),
        };
        result.Print(output);
        if (options.Keep)
            await KeepAsync(cluster, cancel);
        return result;
    }

    /// <summary>To the end of the migration; where something is to be killed, after the first shard has switched and before the last has.</summary>
    private async Task<string> WatchCutoverAsync(Cluster cluster, MigrationWatch watch, long id)
    {
        bool HasEnded() => watch.Status is "Complete" or "Aborted" or "Failed";
        if (options.Kill == "")
        {
            await watch.UntilAsync(id, HasEnded, TimeSpan.FromSeconds(90));
            return "";
        }

        bool IsBetween()
        {
            var switched = watch.Stages.Count(s => s is "Switched" or "Retired");
            return switched > 0 && switched < options.OldShards;
        }

        await watch.UntilAsync(id, () => IsBetween() || HasEnded(), TimeSpan.FromSeconds(60));
        if (!IsBetween())
            throw new InvalidOperationException(
                $"nothing was killed: the shards switched faster than they could be watched ({watch.Status})"
            );
        var victim = options.Kill switch
        {
            "coordinator" => cluster.Coordinator,
            "router" => cluster.Routers[0],
            _ => cluster.Nodes[0],
        };
        var point = $"after-first-switched ({watch.Stages.Count(s => s == "Switched")} of {options.OldShards})";
        if (options.Kill == "router")
            _outage = Outage.Of(victim.Name, await watch.GetAsync($"/_miroir/indexes/{Index}/routes"), Now);
        Say($"SIGKILL {victim.Name} at {point}");
        // The migration goes on, and is watched, while the victim is away.
        var watching = watch.UntilAsync(id, HasEnded, TimeSpan.FromSeconds(90));
        await Cluster.KillAndRestartAsync(victim, TimeSpan.FromSeconds(1));
        Say($"{victim.Name} started again");
        await watching;
        return $"{victim.Name} at {point}";
    }

    /// <summary>
    /// Every shard switches and is kept so, clients go on, and then all of it is undone: with the new node's help, or
    /// without.
    /// </summary>
    private async Task<string> RevertAsync(Cluster cluster, MigrationWatch watch, long id, CancellationToken cancel)
    {
        await watch.UntilAsync(id, () => watch.Stages.All(s => s == "Switched"), TimeSpan.FromSeconds(60));
        Say("every shard has switched, its source is kept; clients go on");
        await Task.Delay(TimeSpan.FromSeconds(4), cancel);
        var target = cluster.Nodes[^1];
        var killed = options.Kill == "targets";
        if (killed)
        {
            Say($"SIGKILL {target.Name}, which holds nothing but targets");
            await target.KillAsync();
            await Task.Delay(TimeSpan.FromSeconds(1), cancel);
        }

        await watch.CommandAsync($"/_miroir/reshards/{id}/revert", null);
        Say("revert");
        bool HasEnded() => watch.Status is "Complete" or "Aborted" or "Failed";
        if (killed)
        {
            await watch.UntilAsync(id, () => watch.Stages.All(s => s == "Owned"), TimeSpan.FromSeconds(30));
            Say("the old owners have every shard again");
            await Task.Delay(TimeSpan.FromSeconds(1), cancel);
            await target.StartAsync(TimeSpan.FromSeconds(30));
            Say($"{target.Name} started again: what was made on it is dropped");
        }

        await watch.UntilAsync(id, HasEnded, TimeSpan.FromSeconds(60));
        return killed ? $"{target.Name}, with every shard switched" : "";
    }

    private async Task KeepAsync(Cluster cluster, CancellationToken cancel)
    {
        var router = cluster.Routers[0].Address;
        var coordinator = cluster.Coordinator.Address;
        var ctl = Environment.GetEnvironmentVariable("MIROIR_CTL") ?? "miroir-ctl";
        var file = Directory
            .EnumerateFiles(cluster.NodeFolder("node-4"), "*.db", SearchOption.AllDirectories)
            .Where(f => f.Contains("shards", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .FirstOrDefault();
        output.WriteLine(
            $"""

            The cluster is up; try:
              curl '{router}indexes/{Index}/documents/bash'
              curl '{router}indexes/{Index}/documents?limit=3&fields=package,version'
              curl -X PUT '{router}indexes/{Index}/documents' -H 'content-type: application/json' -d '[{Quote}"package":"bash","note":"hello"{Unquote}]'
              {ctl} --server {coordinator} cluster health
              {ctl} --server {coordinator} shards list --index {Index}
              {ctl} --server {coordinator} reshard status --index {Index} --show delta
              sqlite3 -readonly {file} 'SELECT key, version, substr(document, 1, 80) FROM documents LIMIT 5'
            Ctrl-C stops it and deletes {cluster.Folder}.
            """
        );
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, cancel);
        }
        catch (OperationCanceledException)
        {
            // That was the end of it.
        }
    }

    private const string Quote = "{";
    private const string Unquote = "}";
}
