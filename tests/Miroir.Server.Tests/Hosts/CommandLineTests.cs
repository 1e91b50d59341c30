using System.Net;
using Miroir.Server.Commands;
using Miroir.Server.Hosts;
using NUnit.Framework;

namespace Miroir.Server.Tests.Hosts;

/// <summary>Wrong usage names the argument and what was expected.</summary>
public sealed class CommandLineTests
{
    private static readonly BindAddress Otherwise = new(IPAddress.Loopback, 7);

    [TestCase("127.0.0.1:7700", "127.0.0.1:7700")]
    [TestCase("http://127.0.0.1:0/", "127.0.0.1:0")]
    [TestCase("localhost:80", "127.0.0.1:80")]
    [TestCase("[::1]:65535", "[::1]:65535")]
    public void AddressesToListenOn(string text, string expected)
    {
        var arguments = new Arguments("node", ["--listen", text]);
        Assert.That(arguments.Listen(Otherwise, insecure: false).ToString(), Is.EqualTo(expected));
        arguments.End();
    }

    [TestCase("127.0.0.1")]
    [TestCase("127.0.0.1:65536")]
    [TestCase("127.0.0.1:-1")]
    [TestCase(":7700")]
    [TestCase("example.org:7700")]
    [TestCase("0.0.0.0:7700")]
    [TestCase("192.0.2.1:7700")]
    public void AddressesThatAreRefused(string text)
    {
        var error = Assert.Throws<UsageException>(() =>
            new Arguments("node", ["--listen", text]).Listen(Otherwise, insecure: false)
        );
        Assert.That(error!.Message, Does.StartWith("--listen: "));
    }

    [Test]
    public void AnOpenAddressIsTakenWhenItIsMeant() =>
        Assert.That(
            new Arguments("node", ["--listen=0.0.0.0:7700"]).Listen(Otherwise, insecure: true).Port,
            Is.EqualTo(7700)
        );

    [Test]
    public void ARequiredOptionThatIsMissingIsNamed()
    {
        var error = Assert.Throws<UsageException>(() => new Arguments("node", []).Required("--name", "NAME"));
        Assert.That(error!.Message, Does.Contain("`miroir node` needs --name NAME"));
    }

    [Test]
    public void AnOptionWithoutItsValueIsNamed()
    {
        var error = Assert.Throws<UsageException>(() =>
            new Arguments("node", ["--name", "--data", "d"]).Text("--name", "NAME")
        );
        Assert.That(error!.Message, Does.Contain("--name NAME"));
    }

    [Test]
    public void WhatNobodyAskedForIsRefused()
    {
        var arguments = new Arguments("node", ["--name", "n1", "--nam", "x"]);
        Assert.That(arguments.Text("--name", "NAME"), Is.EqualTo("n1"));
        var error = Assert.Throws<UsageException>(arguments.End);
        Assert.That(error!.Message, Does.Contain("`--nam`").And.Contain("--name NAME"));
    }

    [Test]
    public void AnOptionGivenTwiceIsRefused() =>
        Assert.Throws<UsageException>(() =>
            new Arguments("node", ["--name", "a", "--name", "b"]).Text("--name", "NAME")
        );
}
