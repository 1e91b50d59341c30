using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text.Json;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary><c>miroir up</c> as one types it.</summary>
[CancelAfter(300_000)]
public sealed partial class UpTests
{
    private const int SigTerm = 15;

    [Test]
    public async Task ItStartsAnswersStopsAndStartsAgainOnTheSameData(CancellationToken cancel)
    {
        var folder = Directory.CreateTempSubdirectory("miroir-up-test-");
        try
        {
            using var http = new HttpClient();
            await RunAsync(
                folder.FullName,
                async address =>
                {
                    using var posted = await http.PostAsJsonAsync(
                        $"{address}/indexes/movies/documents",
                        new[] { new { id = 1, title = "Solaris" } },
                        cancel
                    );
                    Assert.That((int)posted.StatusCode, Is.EqualTo(202));
                    var cluster = await http.GetFromJsonAsync<JsonElement>($"{address}/_miroir/cluster", cancel);
                    Assert.That(cluster.GetProperty("nodes").GetArrayLength(), Is.EqualTo(3));
                },
                cancel
            );
            await RunAsync(
                folder.FullName,
                async address =>
                {
                    var found = await http.GetFromJsonAsync<JsonElement>(
                        $"{address}/indexes/movies/documents/1",
                        cancel
                    );
                    Assert.That(found.GetProperty("title").GetString(), Is.EqualTo("Solaris"));
                },
                cancel
            );
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task RunAsync(string data, Func<string, Task> use, CancellationToken cancel)
    {
        using var up = Process.Start(
            new ProcessStartInfo(
                Path.Combine(AppContext.BaseDirectory, "miroir"),
                ["up", "--nodes", "3", "--data", data, "--listen", "127.0.0.1:0"]
            )
            {
                RedirectStandardOutput = true,
            }
        )!;
        try
        {
            var children = new List<int>();
            string? address = null;
            while (address is null && await up.StandardOutput.ReadLineAsync(cancel) is { } line)
                if (line.StartsWith("listening on ", StringComparison.Ordinal))
                    address = line["listening on ".Length..];
                else if (line.LastIndexOf("process ", StringComparison.Ordinal) is > 0 and var at)
                    children.Add(int.Parse(line[(at + 8)..], CultureInfo.InvariantCulture));
            Assert.That(address, Is.Not.Null, "it ended before it listened");
            Assert.That(children, Has.Count.EqualTo(4));
            await use(address!);
            Assert.That(Signal(up.Id, SigTerm), Is.Zero);
            await up.StandardOutput.ReadToEndAsync(cancel);
            await up.WaitForExitAsync(cancel);
            Assert.That(up.ExitCode, Is.Zero);
            Assert.That(children.Where(IsRunning), Is.Empty);
        }
        finally
        {
            if (!up.HasExited)
                up.Kill(entireProcessTree: true);
        }
    }

    private static bool IsRunning(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return !process.HasExited && process.ProcessName.Contains("miroir", StringComparison.Ordinal);
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
