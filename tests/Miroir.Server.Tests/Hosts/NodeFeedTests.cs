using System.Net;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Hosts;
using Miroir.Server.Node;
using Miroir.Stores;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Server.Tests.Hosts;

/// <summary>A node's part in the change feed, over its wire.</summary>
public sealed class NodeFeedTests
{
    private static readonly ShardId Shard = new("books", 1, 0);
    private static readonly RouteStamp Stamp = new(Shard, 1);

    private string folder = "";
    private NodeHost host = null!;
    private string address = "";
    private HttpNodeDirectory nodes = null!;

    [SetUp]
    public async Task Start()
    {
        folder = Directory.CreateTempSubdirectory("miroir-test-").FullName;
        var store = SqliteNodeStore.Open(folder, new() { Changes = ChangeRetention.Unlimited });
        host = new NodeHost(
            new NodeHostOptions
            {
                Name = "n1",
                Store = store,
                Metrics = store.Metrics,
            }
        );
        address = await host.StartAsync(default);
        nodes = new HttpNodeDirectory();
        var made = await Node.Make(new MakeCommand(Stamp, Shard, HashRange.Full, 0, 1), default);
        Assert.That(made.IsMade, $"{made}");
    }

    [TearDown]
    public async Task Stop()
    {
        nodes.Dispose();
        await host.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Test, CancelAfter(60_000)]
    public async Task WhatIsPutAndWhatIsLoggedComesBackInPages(CancellationToken cancel)
    {
        await Node.Put([Put("a", 1, Origin.Client), Put("b", 2, Origin.Migration), Put("c", 3, Origin.Client)], cancel);
        var anew = Change.At(new DocumentVersion(2, 1), Put("b", 2, Origin.Migration).Document.Entry);
        var logged = await Node.LogChanges(
            new LogChangesCommand(Stamp, Shard, [anew], new DocumentVersion(1, 1), HashRange.Full),
            cancel
        );
        Assert.That(logged.IsLogged, $"{logged}");

        var command = new ChangesCommand(
            Stamp,
            Shard,
            HashRange.Full,
            DocumentVersion.Zero,
            new DocumentVersion(9, 0),
            1
        );
        var first = await Page(command, cancel);
        var second = await Page(command.Behind(first.Changes[^1].Position), cancel);
        Assert.That(first.Floor, Is.EqualTo(new DocumentVersion(1, 1)));
        Assert.That((first.IsLast, second.IsLast), Is.EqualTo((false, true)));
        Assert.That(
            first.Changes.Concat(second.Changes).Select(change => $"{change}"),
            Is.EqualTo(new[] { "1.3: c 1.3", "2.1: b 1.2" })
        );
        var stale = await Node.Changes(
            new ChangesCommand(new RouteStamp(Shard, 0), Shard, HashRange.Full, default, default, 1),
            cancel
        );
        Assert.That((stale as ChangesReply.ChangesStaleEpoch)?.Epoch, Is.EqualTo(1));
    }

    [Test, CancelAfter(60_000)]
    public async Task PutsThatLogNothingAreInItsMetrics(CancellationToken cancel)
    {
        await Node.Put([Put("a", 1, Origin.Migration), Put("b", 2, Origin.Client)], cancel);
        await Node.Put([Put("b", 2, Origin.AntiEntropy), Put("c", 3, Origin.Migration)], cancel);
        using var client = new HttpClient
        {
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var text = await client.GetStringAsync($"{address}/metrics", cancel);
        Assert.That(
            text.Split('\n').Where(line => line.StartsWith("miroir_feed_left_out_total")),
            Is.EquivalentTo(
                new[]
                {
                    "miroir_feed_left_out_total{origin=\"migration\"} 2",
                    "miroir_feed_left_out_total{origin=\"anti_entropy\"} 1",
                }
            )
        );
    }

    private INode Node => nodes.Get("n1", address);

    private async Task<ChangesPage> Page(ChangesCommand command, CancellationToken cancel)
    {
        var reply = await Node.Changes(command, cancel);
        Assert.That(reply, Is.TypeOf<ChangesReply.Changes>(), $"{reply}");
        return ((ChangesReply.Changes)reply).Item;
    }

    private static PutCommand Put(string key, long clock, Origin origin) =>
        new(
            Stamp,
            Shard,
            Document.Live(Key.Of(key), new DocumentVersion(1, clock), "{}"u8.ToArray(), Guid.Empty, origin)
        );
}
