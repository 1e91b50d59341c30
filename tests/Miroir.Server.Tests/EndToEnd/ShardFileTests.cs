using System.ComponentModel;
using System.Diagnostics;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>Anybody's sqlite3 reads what the API wrote.</summary>
[CancelAfter(120_000)]
public sealed class ShardFileTests
{
    [Test]
    public async Task DebiansSqliteShowsADocument(CancellationToken cancel)
    {
        await using var cluster = await TestCluster.StartAsync(1);
        await cluster.CreateIndexAsync("docs", 1);
        await cluster.TaskAsync("POST", "/indexes/docs/documents", """{"id":"größe","title":"Solaris","year":1972}""");
        var file = cluster.ShardFiles("n1", "docs").Single();
        var start = new ProcessStartInfo(
            "sqlite3",
            ["-readonly", file, "SELECT key, json_extract(document, '$.title'), deleted FROM documents"]
        )
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process sqlite;
        try
        {
            sqlite = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Ignore("`sqlite3` is not installed: install the Debian package sqlite3");
            return;
        }
        using (sqlite)
        {
            var output = await sqlite.StandardOutput.ReadToEndAsync(cancel);
            var errors = await sqlite.StandardError.ReadToEndAsync(cancel);
            await sqlite.WaitForExitAsync(cancel);
            Assert.That(errors, Is.Empty);
            Assert.That(output, Is.EqualTo("größe|Solaris|0\n"));
        }
    }
}
