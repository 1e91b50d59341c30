using System.Text;
using Miroir.Core;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;
using Miroir.Stores.Tests.Conformance;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests.Crash;

/// <summary>
/// Uses a node's store as a seed says, and notes in the log what it asked and what was answered: puts in groups over
/// several shards, some at once with raises and reads; stores dropped and made again; the store closed and opened.
/// Bounds are narrow, so that logs are copied and emptied, and files opened and closed, all the time.
/// </summary>
internal sealed class NodeScript(DiskLog log, int seed, Synchronous synchronous = Synchronous.Full)
{
    public const int Shards = 3;

    public static readonly ChangeRetention Retention = ChangeRetention.Unlimited with
    {
        MaxChanges = LogExpectation.MaxChanges,
    };

    private const int Keys = 10;

    private readonly Random _random = new(seed);
    private readonly long[] _epochs = [1, 1, 1];
    private readonly bool[] _serving = new bool[Shards];
    private SqliteNodeStore _store = null!;
    private int _numbers;

    public async Task Run(int rounds)
    {
        // Numbers, and with them versions, go on where an earlier script was cut off.
        _numbers = log
            .Events.OfType<DiskEvent.Note>()
            .Select(note =>
                note.What switch
                {
                    NodeNote.PutBegun put => put.Number,
                    NodeNote.LogBegun change => change.Number,
                    _ => 0,
                }
            )
            .DefaultIfEmpty(0)
            .Max();
        await Open();
        try
        {
            for (var shard = 0; shard < Shards; shard++)
                await Make(shard);
            for (var round = 0; round < rounds; round++)
                await Round(round % 12);
        }
        finally
        {
            await _store.DisposeAsync();
        }
    }

    private async Task Round(int round)
    {
        var shard = _random.Next(Shards);
        switch (round)
        {
            case 3 or 9:
                // Some of the puts are overtaken by the raise, and refused.
                await Task.WhenAll([.. Puts(3), Raise(shard, _random.Next(4) > 0)]);
                break;
            case 5:
                await Drop(shard);
                break;
            case 7:
                for (var i = 0; i < Shards; i++)
                    await Make(i);
                break;
            case 10 when _random.Next(2) == 0:
                await _store.DisposeAsync();
                await Open();
                break;
            default:
                await Task.WhenAll([.. Puts(_random.Next(1, 5)), Look(shard), Log(shard)]);
                break;
        }
    }

    private async Task Open()
    {
        _store = SqliteNodeStore.Open(
            log.Folder,
            new()
            {
                Synchronous = synchronous,
                Vfs = RecordingVfs.Name,
                Names = log,
                CacheBudgetMiB = 1,
                WalAutoCheckpointPages = 12,
                JournalSizeLimitBytes = 20_000,
                MaxOpenFiles = 2,
                MaxGroupPuts = 4,
                WriterThreads = 2,
                MaxConcurrentReads = 2,
                Changes = Retention,
            }
        );
        log.Note(new NodeNote.Opened(_store.NodeId));
        var there = (await _store.Stores(CancellationToken.None)).ToDictionary(status => status.Store.Shard);
        for (var shard = 0; shard < Shards; shard++)
        {
            _serving[shard] = there.TryGetValue(shard, out var status);
            log.Note(_serving[shard] ? new NodeNote.Made(shard, status!.Incarnation) : new NodeNote.Dropped(shard));
            if (await _store.ReadOne(shard, 0, "0") is ReadReply.ReadStaleEpoch stale)
            {
                log.Note(new NodeNote.Raised(shard, stale.Epoch, stale.Route?.Value.Epoch ?? 0));
                _epochs[shard] = stale.Epoch;
            }

            await Look(shard);
        }
    }

    private async Task Make(int shard)
    {
        var epoch = _epochs[shard];
        log.Note(new NodeNote.MakeBegun(shard, epoch));
        var command = new MakeCommand(Stamp(shard, epoch), Shard(shard), HashRange.Full, 0, 1);
        var reply = await _store.Make(command, CancellationToken.None);
        Assert.That(reply, Is.TypeOf<MakeReply.Made>(), $"{reply}");
        log.Note(new NodeNote.Made(shard, ((MakeReply.Made)reply).Incarnation));
        log.Note(new NodeNote.Raised(shard, epoch, 0));
        _serving[shard] = true;
    }

    private async Task Drop(int shard)
    {
        log.Note(new NodeNote.DropBegun(shard));
        var command = new DropCommand(Stamp(shard, _epochs[shard]), Shard(shard), Guid.Empty, 0);
        var reply = await _store.Drop(command, CancellationToken.None);
        Assert.That(reply.IsDropped || reply.IsAlreadyGone, $"{reply}");
        log.Note(new NodeNote.Dropped(shard));
        _serving[shard] = false;
    }

    private async Task Raise(int shard, bool hasRoute)
    {
        var epoch = ++_epochs[shard];
        log.Note(new NodeNote.RaiseBegun(shard, epoch, hasRoute));
        var command = new BarrierCommand(
            Stamp(shard, epoch),
            Shard(shard),
            hasRoute ? StoreUniverse.Told(shard, (int)epoch) : null
        );
        var reply = (await _store.RaiseBarriers([command], CancellationToken.None)).Single();
        Assert.That(reply.IsConfirmed || reply.IsConfirmedNotServing, $"{reply}");
        log.Note(new NodeNote.Raised(shard, epoch, hasRoute ? epoch : 0));
    }

    /// <summary>Calls under way at once, each with a few documents for any of the shards that serve.</summary>
    private IEnumerable<Task> Puts(int calls)
    {
        var serving = Enumerable.Range(0, Shards).Where(shard => _serving[shard]).ToArray();
        for (var call = 0; call < calls && serving.Length > 0; call++)
        {
            var puts = new List<(int Number, PutCommand Command)>();
            for (var i = _random.Next(1, 8); i > 0; i--)
            {
                var shard = serving[_random.Next(serving.Length)];
                var document = NewDocument(++_numbers);
                puts.Add((_numbers, new PutCommand(Stamp(shard, _epochs[shard]), Shard(shard), document)));
                log.Note(new NodeNote.PutBegun(_numbers, shard, document));
            }

            yield return Put(puts);
        }
    }

    private async Task Put(List<(int Number, PutCommand Command)> puts)
    {
        var replies = await _store.Put([.. puts.Select(put => put.Command)], CancellationToken.None);
        for (var i = 0; i < replies.Length; i++)
        {
            if (replies[i] is PutReply.StaleEpoch stale)
                log.Note(new NodeNote.Raised(puts[i].Command.Store.Shard, stale.Epoch, stale.Route?.Value.Epoch ?? 0));
            log.Note(new NodeNote.PutDone(puts[i].Number, replies[i]));
        }
    }

    /// <summary>Logs what no put brings: a version that a later writer places anew.</summary>
    private async Task Log(int shard)
    {
        if (!_serving[shard])
            return;
        var placed = NewDocument(++_numbers).Entry;
        var number = ++_numbers;
        var change = Change.At(new DocumentVersion(1, number), placed);
        log.Note(new NodeNote.LogBegun(number, shard, change));
        var stamp = Stamp(shard, _epochs[shard]);
        var reply = await _store.LogChanges(
            new LogChangesCommand(stamp, Shard(shard), [change], DocumentVersion.Zero, HashRange.Full),
            CancellationToken.None
        );
        log.Note(new NodeNote.LogDone(number, reply.IsLogged));
    }

    /// <summary>Reads a shard: what anybody has read is never lost either.</summary>
    private async Task Look(int shard)
    {
        var epoch = _epochs[shard];
        log.Note(new NodeNote.RaiseBegun(shard, epoch, false));
        var command = new ScanCommand(Stamp(shard, epoch), Shard(shard), HashRange.Full, null, Keys, 1 << 20, false);
        var reply = await _store.ScanPage(command, CancellationToken.None);
        if (reply is ScanReply.Page page)
        {
            foreach (var entry in page.Item.Entries)
                log.Note(new NodeNote.Seen(shard, entry.Key, entry.Version));
        }
    }

    private Document NewDocument(int number)
    {
        var key = Key.Of($"{_random.Next(Keys)}");
        var version = new DocumentVersion(1, number);
        var operation = new Guid(number, 0, 0, new byte[8]);
        var origin = _random.Next(5) == 0 ? Origin.Migration : Origin.Client;
        if (_random.Next(6) == 0)
            return Document.Tombstone(key, version, operation, origin);
        var size = _random.Next(8) == 0 ? 6000 : _random.Next(10, 900);
        var body = Encoding.UTF8.GetBytes($$"""{"number":{{number}},"pad":"{{new string('x', size)}}"}""");
        return Document.Live(key, version, body, operation, origin);
    }
}
