using System.ComponentModel;
using System.Diagnostics;
using Miroir.Server.Tests.Api;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>The official npm client, unchanged, does document work on a whole cluster.</summary>
public sealed class OfficialClientTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    [Test]
    public async Task ItCreatesAddsUpdatesFetchesPagesAndDeletes()
    {
        var folder = Directory.CreateTempSubdirectory("miroir-npm-");
        try
        {
            var scripts = Path.Combine(Repository.Root, "tests", "Miroir.Server.Tests", "npm");
            foreach (var file in Directory.GetFiles(scripts))
                File.Copy(file, Path.Combine(folder.FullName, Path.GetFileName(file)));
            var installed = await RunAsync(folder, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock");
            if (installed.Status != 0)
                Assert.Ignore($"the npm package meilisearch 0.62.0 can't be installed: {installed.Output}");
            await using var cluster = await TestCluster.StartAsync();
            var run = await RunAsync(folder, "node", "documents.mjs", cluster.Address);
            Assert.That(run.Status, Is.Zero, run.Output);
            Assert.That(run.Output, Does.EndWith("done\n"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<(int Status, string Output)> RunAsync(
        DirectoryInfo folder,
        string program,
        params string[] arguments
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder.FullName,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Ignore(
                $"`{program}` is not installed: install the Debian package {(program == "node" ? "nodejs" : "npm")}"
            );
            throw;
        }
        using (process)
        using (var limit = new CancellationTokenSource(Limit))
        {
            try
            {
                var errors = process.StandardError.ReadToEndAsync(limit.Token);
                var output = await process.StandardOutput.ReadToEndAsync(limit.Token);
                await process.WaitForExitAsync(limit.Token);
                return (process.ExitCode, await errors + output);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return (-1, $"`{program}` did not end within {Limit.TotalMinutes} minutes");
            }
        }
    }
}
