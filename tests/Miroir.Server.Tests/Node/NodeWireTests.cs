using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Hosts;
using Miroir.Server.Http;
using Miroir.Server.Node;
using Miroir.Server.Wire;
using NUnit.Framework;
using static Miroir.Server.Tests.Node.MemoryNode;

namespace Miroir.Server.Tests.Node;

/// <summary>A node behind its wire, over real sockets.</summary>
[CancelAfter(60_000)]
public sealed class NodeWireTests
{
    private MemoryNode memory = null!;
    private HttpServer server = null!;
    private HttpNodeDirectory directory = null!;
    private INode node = null!;

    [SetUp]
    public async Task Start()
    {
        memory = new MemoryNode("n1");
        server = await Serve(memory);
        directory = new HttpNodeDirectory();
        node = directory.Get("n1", server.Address);
    }

    [TearDown]
    public async Task Stop()
    {
        directory.Dispose();
        await server.DisposeAsync();
    }

    private static Task<HttpServer> Serve(INode node) =>
        Serve(HttpProtocols.Http2, app => NodeEndpoints.Map(app, node));

    private static async Task<HttpServer> Serve(HttpProtocols protocols, Action<IEndpointRouteBuilder> map)
    {
        var server = new HttpServer(BindAddress.AnyLoopbackPort, TimeSpan.FromMilliseconds(200));
        await server.StartAsync(protocols, map, default);
        return server;
    }

    [Test]
    public async Task EveryCallReachesTheNodeAndComesBack(CancellationToken cancel)
    {
        var put = Command("größe", 3);
        var shard = put.Store;
        Assert.That(await node.Put([put], cancel), Is.EqualTo([PutReply.NewApplied(false)]));
        Assert.That(await node.Put([], cancel), Is.Empty);
        var read = await node.Read(
            [new ReadCommand(put.Stamp, shard, put.Document.Key), new ReadCommand(put.Stamp, shard, Key.Of("b"))],
            cancel
        );
        var found = ((ReadReply.Found)read[0]).Item;
        Assert.That(found.Body.ToArray(), Is.EqualTo("xxx"u8.ToArray()));
        Assert.That(found.Entry.Digest, Is.EqualTo(put.Document.Entry.Digest));
        Assert.That(read[1], Is.EqualTo(ReadReply.Absent));
        Assert.That(
            await node.RaiseBarriers([new BarrierCommand(put.Stamp, shard, null)], cancel),
            Is.EqualTo([BarrierReply.NewBarrierAbove(2)])
        );
        Assert.That(
            await node.Make(new MakeCommand(put.Stamp, shard, HashRange.Full, 1, 1), cancel),
            Is.EqualTo(MakeReply.NewMakeRefused(new Refusal(RefusalCode.DiskFull, "no room for i/1/0")))
        );
        Assert.That(
            await node.Drop(new DropCommand(put.Stamp, shard, Guid.Empty, 0), cancel),
            Is.EqualTo(DropReply.NotTheSame)
        );
        var reconcile = new ReconcileCommand(put.Stamp, shard, HashRange.Full, [], ReconcileMode.Delta, null, 0, 1, 1);
        var replies = new List<ReconcileReply>();
        await foreach (var reply in node.Reconcile(reconcile, cancel))
            replies.Add(reply);
        Assert.That(replies, Is.EqualTo([ReconcileReply.NewSourceFailed("n9", "gone")]));
        Assert.That(await node.Status(cancel), Is.EqualTo(await memory.Status(cancel)));
    }

    [Test]
    public async Task ConcurrentPutsGoTogether(CancellationToken cancel)
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        memory.BeforePut = c => open.Task.WaitAsync(c);
        var calls = Enumerable.Range(0, 500).Select(i => node.Put([Command($"k{i}")], cancel)).ToArray();
        await memory.PutBegan.Task.WaitAsync(cancel);
        open.SetResult();
        var replies = await Task.WhenAll(calls);
        Assert.That(replies.Select(r => r.Length), Is.All.EqualTo(1));
        Assert.That(memory.PutSizes.Sum(), Is.EqualTo(500));
        // As many requests as may be in flight leave at once; all the others wait for them and go together.
        Assert.That(memory.PutSizes, Has.Count.LessThanOrEqualTo(WireLimits.Default.RequestsInFlight + 1));
    }

    [Test]
    public async Task ALargeCallIsSentInPartsAndAnsweredInOrder(CancellationToken cancel)
    {
        var commands = Enumerable.Range(0, 5000).Select(i => Command($"k{i % 4000}")).ToArray();
        var replies = await node.Put(commands, cancel);
        Assert.That(replies, Is.EqualTo(Enumerable.Range(0, 5000).Select(i => PutReply.NewApplied(i >= 4000))));
        Assert.That(memory.PutSizes, Is.All.LessThanOrEqualTo(WireLimits.Default.BatchCommands));
    }

    [Test]
    public async Task ADocumentBeyondTheFrameIsRefusedAlone(CancellationToken cancel)
    {
        var replies = await node.Put(
            [Command("a"), Command("huge", FrameLayout.MaxBodyBytes + 1), Command("b")],
            cancel
        );
        Assert.That(replies[0].IsApplied && replies[2].IsApplied);
        Assert.That(((PutReply.Refused)replies[1]).Item.Message, Does.Contain("`huge`"));
    }

    [Test]
    public async Task AScanStreamsEverythingInOrder(CancellationToken cancel)
    {
        var commands = Enumerable.Range(0, 50_000).Select(i => Command($"k{i}", 100)).ToArray();
        await node.Put(commands, cancel);
        var keys = new List<Key>();
        await foreach (var reply in node.Scan(ScanAll(1000, withBodies: true), cancel))
        {
            var page = ((ScanReply.Page)reply).Item;
            Assert.That(page.Bodies, Has.Length.EqualTo(page.Entries.Length));
            keys.AddRange(page.Entries.Select(e => e.Key));
        }
        Assert.That(keys, Is.EqualTo(commands.Select(c => c.Document.Key).Order()));
    }

    [Test]
    public async Task AReaderThatStopsHoldsTheScanBack(CancellationToken cancel)
    {
        await node.Put([.. Enumerable.Range(0, 50_000).Select(i => Command($"k{i}", 1000))], cancel);
        await using var pages = node.Scan(ScanAll(100, withBodies: true), cancel).GetAsyncEnumerator(cancel);
        Assert.That(await pages.MoveNextAsync());
        // 500 pages of 100 KB. While puts go back and forth beside it, the scan must come to rest far from its end.
        int before;
        do
        {
            before = memory.PagesMade;
            for (var i = 0; i < 50; i++)
                await node.Put([Command("other")], cancel);
        } while (memory.PagesMade != before);
        Assert.That(before, Is.LessThan(250));
        var rest = 1;
        while (await pages.MoveNextAsync())
            rest++;
        Assert.That(rest, Is.GreaterThanOrEqualTo(500));
    }

    [Test]
    public async Task LeavingAScanEndsItAtTheNode(CancellationToken cancel)
    {
        await node.Put([.. Enumerable.Range(0, 50_000).Select(i => Command($"k{i}", 1000))], cancel);
        await foreach (var _ in node.Scan(ScanAll(100, withBodies: true), cancel))
            break;
        await memory.ScanEnded.Task.WaitAsync(cancel);
        Assert.That(memory.PagesMade, Is.LessThan(500));
    }

    [Test]
    public async Task ACancelledCallEndsAndOthersGoOn(CancellationToken cancel)
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        memory.BeforePut = c => open.Task.WaitAsync(c);
        using var impatient = new CancellationTokenSource();
        var cancelled = node.Put([Command("a")], impatient.Token);
        await memory.PutBegan.Task.WaitAsync(cancel);
        var queued = Enumerable
            .Range(0, 10)
            .Select(i => node.Put([Command($"q{i}")], i % 2 == 0 ? impatient.Token : cancel))
            .ToArray();
        await impatient.CancelAsync();
        await Assert.CatchAsync<UnreachableException>(() => cancelled);
        open.SetResult();
        for (var i = 0; i < queued.Length; i++)
            if (i % 2 == 0)
                await Assert.CatchAsync<UnreachableException>(() => queued[i]);
            else
                Assert.That((await queued[i])[0].IsApplied);
    }

    [Test]
    public async Task ANodeKilledInMidCallIsUnreachable(CancellationToken cancel)
    {
        memory.BeforePut = c => Task.Delay(Timeout.Infinite, c);
        var call = node.Put([Command("a")], cancel);
        await memory.PutBegan.Task.WaitAsync(cancel);
        await server.StopAsync();
        var error = await Assert.CatchAsync<UnreachableException>(async () => await call);
        Assert.That(error!.Message, Does.Contain("n1").And.Contain(server.Address));
        await Assert.CatchAsync<UnreachableException>(async () => await node.Put([Command("a")], cancel));
    }

    [Test]
    public async Task AScanThatBreaksOffIsUnreachable(CancellationToken cancel)
    {
        await node.Put([.. Enumerable.Range(0, 50_000).Select(i => Command($"k{i}", 1000))], cancel);
        var error = await Assert.CatchAsync<UnreachableException>(async () =>
        {
            await foreach (var _ in node.Scan(ScanAll(100, withBodies: true), cancel))
                await server.StopAsync();
        });
        Assert.That(error!.Message, Does.Contain("n1"));
    }

    [Test]
    public async Task AnotherNodeAtTheAddressDoesNothingAndIsNamed(CancellationToken cancel)
    {
        var error = await Assert.CatchAsync<WrongPeerException>(async () =>
            await directory.Get("n2", server.Address).Put([Command("a")], cancel)
        );
        Assert.That(error!.Message, Does.Contain("`n2`").And.Contain("`n1`").And.Contain(server.Address));
        Assert.That(memory.PutSizes, Is.Empty);
    }

    [TestCase(HttpProtocols.Http1)]
    [TestCase(HttpProtocols.Http2)]
    public async Task SomethingElseAtTheAddressIsAClearError(HttpProtocols protocols)
    {
        await using var web = await Serve(
            protocols,
            app => app.MapFallback(() => Results.Content("<html>hello</html>", "text/html"))
        );
        var error = await Assert.CatchAsync<WrongPeerException>(async () =>
            await directory.Get("n1", web.Address).Status(default)
        );
        Assert.That(error!.Message, Does.Contain(web.Address).And.Contain("expected a Miroir node"));
    }

    [Test]
    public async Task NobodyAtTheAddressIsUnreachable()
    {
        using var listener = new System.Net.Sockets.Socket(
            System.Net.Sockets.SocketType.Stream,
            System.Net.Sockets.ProtocolType.Tcp
        );
        // Bound, so that nobody else takes the port, but not listening.
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var address = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndPoint!).Port}";
        await Assert.CatchAsync<UnreachableException>(async () => await directory.Get("n1", address).Status(default));
    }

    [Test]
    public async Task AnAddressThatIsNoneIsAClearError()
    {
        var error = await Assert.CatchAsync<UnreachableException>(async () =>
            await directory.Get("n1", "not an address").Status(default)
        );
        Assert.That(error!.Message, Does.Contain("not an address"));
    }

    [Test]
    public async Task AMalformedRequestIsAnsweredWithAnError(CancellationToken cancel)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, server.Address + NodeRoutes.Put)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent([1, 2, 3]),
        };
        using var response = await http.SendAsync(request, cancel);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That(await response.Content.ReadAsStringAsync(cancel), Does.Contain("malformed_frame"));
    }
}
