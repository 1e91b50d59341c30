using System.Diagnostics;
using Miroir.Chaos.Demo;
using Miroir.Oracle;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>An index, those who write into it, and what they were told.</summary>
internal sealed class ScenarioIndex : IDisposable
{
    // Small documents: the scenarios are about how many there are.
    private const int Words = 8;
    private const int Clients = 16;
    private const int RatePerSecond = 1_500;

    /// <summary>With more writes than these, nobody waits between two of them.</summary>
    private const int ManyWrites = 20_000;
    private const int Unpaced = 10_000_000;

    private readonly Dataset _dataset;

    public ScenarioIndex(string uid, ChaosScenario scenario, HttpClient http, Func<Uri[]> routers, Stopwatch clock)
    {
        Uid = uid;
        _dataset = Dataset.MadeOf(scenario.Documents, Words);
        Client = new DocumentClient(http, uid);
        var rate = scenario.ThinkMs == 0 || scenario.Writes > ManyWrites ? Unpaced : RatePerSecond / scenario.Indexes;
        Workload = new Workload(Client, routers, History, _dataset, clock, Clients, rate);
    }

    public string Uid { get; }

    public History History { get; } = new();

    public DocumentClient Client { get; }

    public Workload Workload { get; }

    public async Task LoadAsync(HttpClient http, Uri router, ChaosScenario scenario)
    {
        await Client.CreateIndexAsync(router, _dataset.PrimaryKey, scenario.Shards, scenario.Replication);
        await Importer.RunAsync(http, router, Uid, _dataset, History);
    }

    /// <summary>Replaces one document, and answers what its client was told.</summary>
    public async Task<Outcome> WriteAsync(Uri router, string key, string operation)
    {
        var entry = History.Invoke(Clients * 1_000_000, Workload.ReplaceOf(key, operation));
        var document = new System.Text.Json.Nodes.JsonObject { [_dataset.PrimaryKey] = key };
        var reply = await Client.ReplaceAsync(() => router, Workload.With(document, operation));
        History.Complete(entry, reply);
        return reply.Outcome;
    }

    public void Dispose() => ((IDisposable)History).Dispose();
}
