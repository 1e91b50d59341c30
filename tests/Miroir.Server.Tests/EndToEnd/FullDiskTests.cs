using System.Text.Json;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>A node's shards may not grow any more: what does not fit is refused in words, and nothing else suffers.</summary>
[CancelAfter(300_000)]
public sealed class FullDiskTests
{
    private const int Documents = 40;
    private TestCluster cluster = null!;

    [OneTimeSetUp]
    public async Task Start() =>
        cluster = await TestCluster.StartAsync(storeOptions: name =>
            name == "n1" ? new SqliteNodeStoreOptions { MaxPageCount = 48 } : null
        );

    [OneTimeTearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    private Task<ClusterReply> Write(string index, int id, int length) =>
        cluster.SendAsync(
            "POST",
            $"/indexes/{index}/documents",
            JsonSerializer.Serialize(
                new
                {
                    id,
                    n = id,
                    text = new string('x', length),
                }
            )
        );

    private async Task<HashSet<int>> ShardsOf(string node, string index)
    {
        var routes = await cluster.DoAsync("GET", $"/_miroir/indexes/{index}/routes");
        return
        [
            .. routes
                .GetProperty("results")
                .EnumerateArray()
                .Where(r => r.GetProperty("owners").EnumerateArray().Any(o => o.GetString() == node))
                .Select(r => r.GetProperty("shard").GetInt32()),
        ];
    }

    [Test]
    public async Task WhatDoesNotFitIsRefusedAndTheRestGoesOn()
    {
        await cluster.CreateIndexAsync("films", 8);
        Assert.That(await ShardsOf("n1", "films"), Is.Not.Empty, "no shard is on the node that fills up");
        await cluster.FillAsync("films", 0, Documents);

        // 60 KB each, to every shard: those of n1 are full after three.
        var refused = new List<int>();
        var written = new List<int>();
        for (var id = 1000; id < 1000 + Documents * 2; id++)
        {
            var reply = await Write("films", id, 60_000);
            if ((int)reply.Status == 202)
                written.Add(id);
            else
            {
                Assert.That((int)reply.Status, Is.EqualTo(507), reply.Text);
                Assert.That(reply.Code, Is.EqualTo("no_space_left_on_device"));
                Assert.That(reply.Json.GetProperty("type").GetString(), Is.EqualTo("system"));
                refused.Add(id);
            }
        }
        Assert.That(refused, Is.Not.Empty);
        Assert.That(written, Has.Count.GreaterThan(Documents), "the shards of the other nodes take documents");

        // Refused means: not there, and not there later. The rest is.
        foreach (var id in refused)
            Assert.That(
                (await cluster.SendAsync("GET", $"/indexes/films/documents/{id}")).Code,
                Is.EqualTo("document_not_found")
            );
        foreach (var id in written)
            Assert.That(
                (int)(await cluster.SendAsync("GET", $"/indexes/films/documents/{id}")).Status,
                Is.EqualTo(200)
            );
        await cluster.CheckFilledAsync("films", 0, Documents);

        // Of a batch, the task says how many were written and names those that were not.
        var batch = JsonSerializer.Serialize(
            refused
                .Take(2)
                .Concat(written.Take(2))
                .Select(id => new
                {
                    id,
                    n = 7,
                    text = new string('y', 59_000),
                })
        );
        var accepted = await cluster.DoAsync("POST", "/indexes/films/documents", batch);
        var task = await cluster.DoAsync("GET", $"/tasks/{accepted.GetProperty("taskUid").GetInt64()}");
        Assert.That(task.GetProperty("status").GetString(), Is.EqualTo("failed"));
        var error = task.GetProperty("error");
        Assert.That(error.GetProperty("code").GetString(), Is.EqualTo("no_space_left_on_device"));
        Assert.That(error.GetProperty("message").GetString(), Does.Contain($"`{refused[0]}`"));
    }

    [Test]
    public async Task TwoCopiesOfThreeAreEnough()
    {
        await cluster.CreateIndexAsync("copies", 1, replication: 3);
        for (var id = 0; id < 10; id++)
            Assert.That((int)(await Write("copies", id, 60_000)).Status, Is.EqualTo(202));
        await cluster.CheckFilledAsync("copies", 0, 10);
    }
}
