using System.Diagnostics;

namespace Miroir.Chaos.Demo;

/// <summary>`demo`: one run, and the control that shows that the checker would have found loss.</summary>
internal static class DemoCommand
{
    private static readonly TimeSpan ControlLimit = TimeSpan.FromSeconds(90);

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        DemoOptions options;
        try
        {
            options = DemoOptions.Parse(arguments);
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }

        var folder = options.Data != "" ? options.Data : Directory.CreateTempSubdirectory("miroir-demo-").FullName;
        var clock = Stopwatch.StartNew();
        var isFine = false;
        try
        {
            var result = await new DemoRun(options, Console.Out).RunAsync(folder, cancel);
            if (options.IsControl)
            {
                Console.WriteLine(result.FoundLoss ? "control: loss found" : "control: no loss found");
                isFine = result.FoundLoss;
                return isFine ? 0 : 1;
            }

            var shortfalls = result.Shortfalls().ToList();
            if (options.Control && await ControlAsync(cancel) is { Length: > 0 } complaint)
                shortfalls.Add(complaint);
            foreach (var shortfall in shortfalls)
                Console.WriteLine($"FALLS SHORT: {shortfall}");
            isFine = shortfalls.Count == 0;
            Console.WriteLine(
                isFine
                    ? $"proved in {clock.Elapsed.TotalSeconds:F1} s: no acknowledged write was lost, stale or resurrected"
                    : $"not proved, after {clock.Elapsed.TotalSeconds:F1} s; logs and files are in {folder}"
            );
            return isFine ? 0 : 1;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            isFine = true;
            Console.WriteLine("stopped");
            return 130;
        }
        catch (Exception e)
        {
            var what = e is InvalidOperationException or ArgumentException ? e.Message : e.ToString();
            Console.Error.WriteLine($"{what}\nlogs and files are in {folder}");
            return 1;
        }
        finally
        {
            // What went wrong is kept for whoever looks into it.
            if (isFine && options.Data == "")
                Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The same at a small size, in the test build with the delta pass cut out. Answers what is wrong with it, or "".</summary>
    private static async Task<string> ControlAsync(CancellationToken cancel)
    {
        var build = Environment.GetEnvironmentVariable("MIROIR_TEST_BUILD_DIR");
        if (build is null)
            return "the control was not run: MIROIR_TEST_BUILD_DIR does not name the test build (build.fsx sets it)";
        Console.WriteLine();
        Console.WriteLine("control: the same at a small size, with the delta pass cut out");
        using var process = new Process();
        process.StartInfo = new ProcessStartInfo(Path.Combine(build, "Miroir.Chaos")) { RedirectStandardOutput = true };
        process.StartInfo.ArgumentList.Add("demo");
        process.StartInfo.ArgumentList.Add("--control");
        process.OutputDataReceived += (_, e) =>
        {
            if (e.Data?.StartsWith("lost ", StringComparison.Ordinal) == true)
                Console.WriteLine("control: " + e.Data);
        };
        process.Start();
        process.BeginOutputReadLine();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(ControlLimit);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancel.ThrowIfCancellationRequested();
            return $"the control did not end within {ControlLimit.TotalSeconds} s";
        }

        return process.ExitCode == 0 ? "" : "the control found no loss: the checker can't be trusted";
    }
}
