using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Tests.Api;

/// <summary>
/// A router and a coordinator over a dictionary. Tables show what the coordinator did only at their next look, as a
/// watched table does; outcomes of single documents can be decided by a test.
/// </summary>
internal sealed class FakeCluster : IDocuments, ICoordinator
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, SortedDictionary<Key, Document>> documents = new(StringComparer.Ordinal);
    private RoutingTable table = RoutingTable.Empty;
    private RoutingTable shown = RoutingTable.Empty;
    private long clock;

    /// <summary>Null: the write happens.</summary>
    public Func<WriteCommand, WriteOutcome?> Decide { get; set; } = _ => null;

    public Func<ReadOutcome?> DecideRead { get; set; } = () => null;

    public FakeFeed Feed { get; } = new();

    /// <summary>Sizes of the batches that came.</summary>
    public List<int> Batches { get; } = [];

    public List<Consistency> Reads { get; } = [];

    /// <summary>Calls that are on their way, at the most.</summary>
    public int MostInFlight { get; private set; }

    private int inFlight;

    /// <summary>Awaited by each write before it happens.</summary>
    public Func<Task> Pause { get; set; } = () => Task.CompletedTask;

    public RoutingTable Table
    {
        get
        {
            lock (gate)
            {
                var now = shown;
                shown = table;
                return now;
            }
        }
    }

    public IReadOnlyList<Document> All(string index)
    {
        lock (gate)
            return documents.TryGetValue(index, out var all) ? [.. all.Values.Where(d => !d.IsTombstone)] : [];
    }

    public async Task<WriteOutcome[]> Write(IReadOnlyList<WriteCommand> commands, CancellationToken cancel)
    {
        lock (gate)
        {
            Batches.Add(commands.Count);
            MostInFlight = Math.Max(MostInFlight, ++inFlight);
        }
        await Pause();
        lock (gate)
        {
            inFlight--;
            return [.. commands.Select(c => Decide(c) ?? Apply(c))];
        }
    }

    private WriteOutcome Apply(WriteCommand command)
    {
        if (!documents.TryGetValue(command.Index, out var all))
            return WriteOutcome.NewRejected(new Refusal(RefusalCode.Failed, $"no index {command.Index}"));
        var had = all.TryGetValue(command.Key, out var before);
        var live = had && !before!.IsTombstone;
        var found = had ? before!.Version : DocumentVersion.Zero;
        var holds =
            command.Condition.IsAlways
            || (command.Condition.IsIfAbsent && !live)
            || (command.Condition.IsIfPresent && live)
            || (
                command.Condition.IsIfVersion
                && live
                && command.Condition.Equals(Condition.NewIfVersion(found), EqualityComparer<object>.Default)
            );
        if (!holds)
            return WriteOutcome.NewConditionFailed(found);
        var version = new DocumentVersion(1, ++clock);
        all[command.Key] =
            command.Intent == WriteIntent.Delete
                ? Document.Tombstone(command.Key, version, command.OperationId, Origin.Client)
                : Document.Live(
                    command.Key,
                    version,
                    command.Intent == WriteIntent.Merge && live ? Merged(before!.Body, command.Body) : command.Body,
                    command.OperationId,
                    Origin.Client
                );
        return WriteOutcome.NewWritten(version, live);
    }

    private static ReadOnlyMemory<byte> Merged(ReadOnlyMemory<byte> onto, ReadOnlyMemory<byte> fields)
    {
        var result = JsonNode.Parse(onto.Span)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(fields.Span)!.AsObject())
            result[name] = value?.DeepClone();
        return JsonSerializer.SerializeToUtf8Bytes(result);
    }

    public Task<ReadOutcome> Read(string index, Key key, Consistency consistency, CancellationToken cancel)
    {
        lock (gate)
        {
            Reads.Add(consistency);
            if (DecideRead() is { } decided)
                return Task.FromResult(decided);
            if (!documents[index].TryGetValue(key, out var document))
                return Task.FromResult(ReadOutcome.NewNothing(DocumentVersion.Zero));
            return Task.FromResult(
                document.IsTombstone ? ReadOutcome.NewNothing(document.Version) : ReadOutcome.NewValue(document)
            );
        }
    }

    public Task<AdminReply<DocumentPage>> List(string index, long offset, int limit, CancellationToken cancel)
    {
        var all = All(index);
        return Task.FromResult(
            AdminReply<DocumentPage>.Ok(
                new DocumentPage([.. all.Skip((int)Math.Min(offset, int.MaxValue)).Take(limit)], all.Count)
            )
        );
    }

    public Task<AdminReply<long>> DeleteAll(string index, CancellationToken cancel)
    {
        var all = All(index);
        lock (gate)
            foreach (var document in all)
                documents[index][document.Key] = Document.Tombstone(
                    document.Key,
                    new DocumentVersion(1, ++clock),
                    Guid.Empty,
                    Origin.Client
                );
        return Task.FromResult(AdminReply<long>.Ok(all.Count));
    }

    public Task<AdminReply<IndexStatistics>> Statistics(string index, CancellationToken cancel)
    {
        var all = All(index);
        return Task.FromResult(
            AdminReply<IndexStatistics>.Ok(
                new IndexStatistics(all.Count, all.Sum(d => (long)d.Body.Length), isMoving: false)
            )
        );
    }

    public Task WaitForRevision(long revision, CancellationToken cancel) => Task.CompletedTask;

    public Task<RouterInfo> Register(string name, string address, long incarnation, CancellationToken cancel) =>
        throw new NotSupportedException("the document API does not register routers");

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel) =>
        throw new NotSupportedException("the document API does not beat for routers");

    public Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel) =>
        throw new NotSupportedException("the document API does not watch");

    public Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel)
    {
        lock (gate)
        {
            if (table.TryIndex(request.Uid).IsSome)
                return Refused("index_already_exists", $"index {request.Uid} exists");
            documents[request.Uid] = [];
            return Changed(
                new IndexInfo(
                    request.Uid,
                    request.PrimaryKey,
                    Math.Max(1, request.Replication),
                    new LayoutInfo(1, request.Shards == 0 ? 16 : request.Shards),
                    1,
                    1_700_000_000_000,
                    1_700_000_000_000
                )
            );
        }
    }

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel)
    {
        lock (gate)
        {
            var index = table.TryIndex(uid).Value;
            return index.PrimaryKey == ""
                ? Changed(
                    new IndexInfo(
                        uid,
                        primaryKey,
                        index.Replication,
                        index.Layout,
                        index.LastGeneration,
                        index.CreatedAtUnixMs,
                        index.UpdatedAtUnixMs + 1
                    )
                )
                : Refused("index_primary_key_already_exists", $"index {uid} has {index.PrimaryKey}");
        }
    }

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel)
    {
        lock (gate)
        {
            var index = table.TryIndex(uid).Value;
            documents.Remove(uid);
            Update([], [uid], []);
            return Task.FromResult(AdminReply<IndexInfo>.Ok(index));
        }
    }

    public void AddRouter(RouterInfo router)
    {
        lock (gate)
            Update([], [], [router]);
        _ = Table;
    }

    private Task<AdminReply<IndexInfo>> Changed(IndexInfo index)
    {
        Update([index], [], []);
        return Task.FromResult(AdminReply<IndexInfo>.Ok(index));
    }

    private void Update(IndexInfo[] indexes, string[] removed, RouterInfo[] routers) =>
        table = table.Apply(new TableUpdate(table.Revision + 1, false, indexes, removed, [], [], [], [], routers, []));

    private static Task<AdminReply<IndexInfo>> Refused(string code, string message) =>
        Task.FromResult(AdminReply<IndexInfo>.Error(code, message));
}
