using Miroir.Stores.Sqlite;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests;

[Platform("Linux,MacOsX", Reason = "A kill is SIGKILL there.")]
public sealed class SqliteNodeStoreKillTests
{
    [Test, CancelAfter(60_000)]
    public async Task WhatAKilledProcessAcknowledgedIsThere(CancellationToken cancel)
    {
        using var folder = new TemporaryFolder();
        var acknowledged = new List<(int Shard, string Key)>();
        for (var round = 0; round < 2; round++)
        {
            using var process = WriterProcess.Start(folder.File($"{round}"));
            try
            {
                while (acknowledged.Count < 700)
                {
                    var line = await process.StandardOutput.ReadLineAsync(cancel);
                    Assert.That(line, Is.Not.Null, "the writer goes on until it is killed");
                    acknowledged.Add(Parse(line!));
                }

                Assert.That(
                    () => SqliteNodeStore.Open(folder.File($"{round}")),
                    Throws.InstanceOf<IOException>().With.Message.Contains("another process")
                );
            }
            finally
            {
                process.Kill();
            }

            while (await process.StandardOutput.ReadLineAsync(cancel) is { Length: > 0 } line)
            {
                // The kill may have cut the last line off.
                if (line.EndsWith(" acknowledged", StringComparison.Ordinal))
                    acknowledged.Add(Parse(line));
            }

            await process.WaitForExitAsync(cancel);
            await using var store = SqliteNodeStore.Open(folder.File($"{round}"));
            for (var shard = 0; shard < WriterProcess.Shards; shard++)
            {
                var expected = acknowledged.Where(put => put.Shard == shard).Select(put => put.Key);
                Assert.That(await store.Keys(shard, 1), Is.SupersetOf(expected));
            }

            var counted = (await store.Stores(cancel)).Sum(status => status.Documents);
            Assert.That(counted, Is.GreaterThanOrEqualTo(acknowledged.Count));
            acknowledged.Clear();
        }
    }

    private static (int Shard, string Key) Parse(string line)
    {
        var parts = line.Split(' ');
        return (int.Parse(parts[0]), parts[1]);
    }
}
