namespace Miroir.Stores.Tests.Crash;

/// <summary>
/// How much is tried: MIROIR_CRASH_SCRIPTS scripts with 30 times the images by chance, from the seed MIROIR_CRASH_SEED on;
/// without them one script and few images.
/// </summary>
internal static class CrashSettings
{
    private static readonly int Scripts = Setting("MIROIR_CRASH_SCRIPTS", 0);
    private static readonly int FirstSeed = Setting("MIROIR_CRASH_SEED", 1);

    /// <summary>Images by chance for each script.</summary>
    public static int Samples => Scripts == 0 ? 100 : 3000;

    /// <summary>Runs that end early and are gone on with, for each script.</summary>
    public static int Restarts => Scripts == 0 ? 6 : 60;

    public static IEnumerable<int> Seeds => Enumerable.Range(FirstSeed, Math.Max(1, Scripts));

    private static int Setting(string variable, int otherwise)
    {
        var text = Environment.GetEnvironmentVariable(variable);
        if (string.IsNullOrEmpty(text))
            return otherwise;
        return int.TryParse(text, out var number) && number > 0
            ? number
            : throw new ArgumentException($"{variable} is '{text}': set it to a number of 1 or more, or not at all.");
    }
}
