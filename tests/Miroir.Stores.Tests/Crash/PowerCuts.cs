namespace Miroir.Stores.Tests.Crash;

/// <summary>One image of the disk that is tried: what the first steps have left after a loss.</summary>
internal readonly record struct PowerCut(int Steps, Loss Loss);

/// <summary>Which images are tried, and what was found.</summary>
internal static class PowerCuts
{
    /// <summary>
    /// Behind every sync and every answer, with nothing and with everything lost that can be; and images with a part lost
    /// behind any step, by chance.
    /// </summary>
    public static List<PowerCut> Of(DiskEvent[] events, int first, int samples, int seed)
    {
        var cuts = new List<PowerCut>();
        for (var steps = first; steps <= events.Length; steps++)
        {
            var isSync = steps > 0 && events[steps - 1] is DiskEvent.Sync or DiskEvent.SyncNames;
            // Of notes in a row the last says most.
            var isAnswer =
                steps > 0
                && events[steps - 1] is DiskEvent.Note
                && (steps == events.Length || events[steps] is not DiskEvent.Note);
            if (isSync)
                cuts.Add(new PowerCut(steps, Loss.Nothing));
            if (isSync || isAnswer)
                cuts.Add(new PowerCut(steps, Loss.Everything));
        }

        var random = new Random(seed);
        double[] chances = [0.1, 0.5, 0.9];
        for (var i = 0; i < samples; i++)
        {
            var loss = new Loss(chances[random.Next(3)], random.Next(2) * 0.3, random.Next());
            cuts.Add(new PowerCut(random.Next(first, events.Length + 1), loss));
        }

        return cuts;
    }

    /// <summary>Where a process is killed: anywhere, or, every other time, where something is written and about to be synced.</summary>
    public static int KillPoint(DiskEvent[] events, Random random)
    {
        var isAnywhere = random.Next(2) == 0;
        while (true)
        {
            var steps = random.Next(1, events.Length);
            if (isAnywhere || (events[steps] is DiskEvent.Sync && events[steps - 1] is DiskEvent.Write))
                return steps;
        }
    }

    /// <summary>The first image with something wrong, as a story; null where each is as it must be.</summary>
    /// <param name="check">What is wrong with the folder that holds the image, cut behind that many steps; or null.</param>
    public static string? FirstWrong(DiskEvent[] events, List<PowerCut> cuts, Func<string, int, Task<string?>> check)
    {
        string? story = null;
        Parallel.ForEach(
            cuts,
            new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount },
            (cut, loop) =>
            {
                if (Wrong(events, cut, check) is not { } wrong)
                    return;
                Interlocked.CompareExchange(ref story, Tell(events, cut, wrong), null);
                loop.Stop();
            }
        );
        return story;
    }

    private static string? Wrong(DiskEvent[] events, PowerCut cut, Func<string, int, Task<string?>> check)
    {
        using var folder = new TemporaryFolder();
        new DiskImage(events.AsSpan(0, cut.Steps), cut.Loss).WriteTo(folder.Path);
        try
        {
            return check(folder.Path, cut.Steps).GetAwaiter().GetResult();
        }
        catch (Exception e)
        {
            return $"it does not open: {e}";
        }
    }

    private static string Tell(DiskEvent[] events, PowerCut cut, string wrong)
    {
        const int Shown = 40;
        var first = Math.Max(0, cut.Steps - Shown);
        var steps = events[first..cut.Steps].Select((step, i) => $"  {first + i}: {step}");
        return $"{wrong}\nafter {cut.Steps} of {events.Length} steps with {cut.Loss}, of which the last:\n{string.Join('\n', steps)}";
    }
}
