using System.Net;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Scripting;
using Miroir.Server.Tests.Api;
using Miroir.Server.Wire;
using NUnit.Framework;

namespace Miroir.Server.Tests.Admin;

/// <summary>Anti-entropy's admin routes over a port that a test answers for.</summary>
public sealed class AntiEntropyEndpointsTests
{
    private const string Passes = "/_miroir/anti-entropy/passes";
    private FakeAntiEntropy fake = null!;
    private AdminServer server = null!;
    private MiroirClient client = null!;

    [SetUp]
    public async Task StartAsync()
    {
        fake = new FakeAntiEntropy();
        server = await AdminServer.StartAsync(fake);
        client = new MiroirClient(server.Address);
    }

    [TearDown]
    public async Task StopAsync()
    {
        ((IDisposable)client).Dispose();
        await server.DisposeAsync();
    }

    [Test]
    public void AnyPassIsReadAsItWas() =>
        Prop.ForAll(
                PassGen.Pass.ToArbitrary(),
                pass =>
                {
                    fake.One = AdminReply<PassView>.Ok(pass);
                    fake.Passes = AdminReply<PassView[]>.Ok([pass, pass]);
                    var history = Value(client.AntiEntropyHistory(null, 10, default));
                    return Value(client.Pass(7, true, default)).Equals(pass)
                        && Value(client.Pass(7, false, default)).Equals(pass.WithoutDocuments())
                        && history.Length == 2
                        && history.All(p => p.Equals(pass.WithoutDocuments()));
                }
            )
            .QuickCheckThrowOnFailure();

    [Test]
    public void AnyStateIsReadAsItWasWithoutItsDocuments() =>
        Prop.ForAll(
                PassGen.State.ToArbitrary(),
                state =>
                {
                    fake.View = AdminReply<AntiEntropyView>.Ok(state);
                    return Value(client.AntiEntropy(null, default)).Equals(state.WithoutDocuments());
                }
            )
            .QuickCheckThrowOnFailure();

    [Test]
    public void AnyRequestArrivesAsItWasMade() =>
        Prop.ForAll(
                (
                    from kind in Gen.Elements("verify", "run", "dry-run", "scrub")
                    from first in Gen.Choose(0, 100)
                    from more in Gen.Choose(0, 100)
                    from isAll in Gen.Elements(true, false)
                    from plan in PassGen.Document.ArrayOf()
                    select new PassRequest(
                        "packages",
                        kind,
                        isAll ? 0 : first,
                        isAll ? -1 : first + more,
                        kind == "run" ? plan : []
                    )
                ).ToArbitrary(),
                request =>
                {
                    fake.One = AdminReply<PassView>.Ok(PassGen.Pass.Sample(1, 1)[0]);
                    Value(client.StartPass(request, default));
                    return fake.Started[^1].Equals(request);
                }
            )
            .QuickCheckThrowOnFailure();

    [TestCase("/_miroir/anti-entropy", "State ")]
    [TestCase("/_miroir/anti-entropy?index=packages", "State packages")]
    [TestCase(Passes, "History  100")]
    [TestCase(Passes + "?index=packages&limit=1000", "History packages 1000")]
    [TestCase(Passes + "/7", "Pass 7")]
    public async Task ThePortIsAsked(string path, string call)
    {
        var reply = await server.SendAsync("GET", path);
        Assert.That(fake.Asked, Is.EqualTo(new[] { call }));
        // The fake has nothing: what the port refuses is told in the documented shape.
        Assert.That(reply.Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That(reply.Code, Does.EndWith("_not_found"));
        Assert.That(reply.Message, Is.EqualTo("none"));
    }

    [Test]
    public async Task APassIsBegunWith201()
    {
        fake.One = AdminReply<PassView>.Ok(PassGen.Pass.Sample(1, 1)[0]);
        var reply = await server.SendAsync("POST", Passes, """{"index": "packages", "kind": "verify"}""");
        Assert.That(reply.Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(fake.Started, Is.EqualTo(new[] { new PassRequest("packages", "verify", 0, -1, []) }));
    }

    private const string Good =
        """{"key": "k", "generation": 1, "shard": 0, "kind": "Missing", "version": "1.7", "keep": "", "lacking": [], "outcome": ""}""";

    private static IEnumerable<TestCaseData> Wrong()
    {
        static TestCaseData Case(string body, string code, string told) => new(body, code, told);
        static string Run(string plan) => $$"""{"index": "i", "kind": "run", "plan": {{plan}}}""";
        yield return Case("""{"kind": "run"}""", "missing_index", "`index`");
        yield return Case("""{"index": "i"}""", "missing_kind", "`kind`");
        yield return Case("""{"index": "i", "kind": "run", "firstShard": -1}""", "invalid_first_shard", "0 to 65535");
        yield return Case("""{"index": "i", "kind": "run", "shards": 3}""", "invalid_shards", "unknown field");
        yield return Case(Run("{}"), "invalid_plan", "a list");
        // Without this, an empty plan would repair whatever differs.
        yield return Case(Run("[]"), "invalid_plan", "1 to 10000 documents");
        yield return Case(Run("[null]"), "invalid_plan", "plan[0]");
        yield return Case(Run($$"""[{{Good}}, {"key": "k"}]"""), "invalid_plan", "plan[1]");
        yield return Case(Run($"[{Good}, {Good.Replace("Missing", "Hot")}]"), "invalid_plan", "plan[1].kind");
        yield return Case(Run($"[{Good.Replace("\"k\"", "null")}]"), "invalid_plan", "plan[0].key");
        yield return Case(Run($"[{Good.Replace("[]", "[null]")}]"), "invalid_plan", "plan[0].lacking");
        yield return Case(Run($"[{Good.Replace("1.7", "x")}]"), "invalid_plan", "plan[0].version");
        yield return Case($$"""{"index": "i", "kind": "verify", "plan": [{{Good}}]}""", "invalid_plan", "`kind` run");
        yield return Case("[]", "malformed_payload", "JSON object");
    }

    [TestCaseSource(nameof(Wrong))]
    public async Task WhatIsWrongIsToldAndNothingIsBegun(string body, string code, string told)
    {
        var reply = await server.SendAsync("POST", Passes, body);
        Assert.That(reply.Status, Is.EqualTo(HttpStatusCode.BadRequest), reply.Text);
        Assert.That(reply.Code, Is.EqualTo(code));
        Assert.That(reply.Message, Does.Contain(told));
        Assert.That(fake.Asked, Is.Empty);
    }

    [TestCase("?limit=0", "invalid_limit")]
    [TestCase("?limit=1001", "invalid_limit")]
    [TestCase("?limit=x", "invalid_limit")]
    [TestCase("/0", "invalid_pass_id")]
    [TestCase("/x", "invalid_pass_id")]
    [TestCase("/7?documents=no", "invalid_documents")]
    public async Task AWrongParameterIsNamed(string path, string code)
    {
        var reply = await server.SendAsync("GET", Passes + path);
        Assert.That(reply.Status, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That(reply.Code, Is.EqualTo(code));
        Assert.That(fake.Asked, Is.Empty);
    }

    [Test]
    public async Task ThePlanOfAFullPassGoesThroughARouter()
    {
        fake.One = AdminReply<PassView>.Ok(PassGen.Pass.Sample(1, 1)[0]);
        var plan = Enumerable
            .Range(0, PlannedDocument.MaxCount)
            .Select(i => new DivergenceView($"{i:d6}{new string('k', 506)}", 1, 0, "Missing", "1.7", "", ["n1: -"], ""))
            .ToArray();
        using var routed = new MiroirClient(server.RouterAddress);
        Value(routed.StartPass(new PassRequest("packages", "run", 0, -1, plan), default));
        Assert.That(fake.Started[0].Plan, Is.EqualTo(plan));
    }

    [Test]
    public async Task OtherRoutesKeepTheirBoundAtARouter()
    {
        var reply = await server.SendAsync(
            "POST",
            "/_miroir/reshards",
            JsonSerializer.Serialize(new string('x', 2 << 20)),
            viaRouter: true
        );
        Assert.That(reply.Code, Is.EqualTo("payload_too_large"));
    }

    [Test]
    public void NamesAreCamelCase()
    {
        var json = JsonSerializer.Serialize(PassGen.Pass.Sample(1, 1)[0], ClusterJson.Default.PassView);
        Assert.That(json, Does.Contain("\"startedAtUnixMs\":").And.Contain("\"lacksTombstone\":"));
    }

    private static T Value<T>(Task<FSharpResult<T, ClientError>> call)
    {
        var result = call.GetAwaiter().GetResult();
        return result.IsOk ? result.ResultValue : throw new InvalidOperationException(result.ErrorValue.Message);
    }
}
