namespace Miroir.Simulation.Chaos;

/// <summary>Faults seeded into the protocol, for the time of a measurement.</summary>
internal static class Mutant
{
    public static bool AreThere =>
#if MUTANTS
        true;
#else
        false;
#endif

    /// <summary>
    /// On until it is disposed of; "" for none, several joined by plus signs. It is one for the process: for all that run
    /// meanwhile.
    /// </summary>
    public static IDisposable Activate(string name)
    {
        if (name != "")
        {
            Set(name.Split('+'));
        }
        return new Off(name != "");
    }

    private static void Set(string[] names)
    {
#if MUTANTS
        Core.Mutants.activate(names);
#else
        throw new InvalidOperationException(
            $"there are no mutants in this build; '{string.Join(", ", names)}' needs a Debug build"
        );
#endif
    }

    private sealed class Off(bool isOn) : IDisposable
    {
        public void Dispose()
        {
            if (isOn)
            {
                Set([]);
            }
        }
    }
}
