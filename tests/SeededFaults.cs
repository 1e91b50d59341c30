#if MUTANTS
using Miroir.Core;
using NUnit.Framework;

/// <summary>
/// For all tests of the program that this is compiled into: faults of src/Miroir.Core/Mutants.fs that the variable
/// MIROIR_MUTANTS names, joined by plus signs. Outside of every namespace, so that it is for all of them.
/// </summary>
[SetUpFixture]
public sealed class SeededFaults
{
    [OneTimeSetUp]
    public void Activate()
    {
        if (Environment.GetEnvironmentVariable("MIROIR_MUTANTS") is { Length: > 0 } names)
        {
            Mutants.activate(names.Split('+'));
        }
    }
}
#endif
