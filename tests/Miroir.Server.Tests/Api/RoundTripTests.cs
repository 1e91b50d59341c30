using System.IO.Pipelines;
using System.Net;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Miroir.Server.Api;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>What is written is what is read, whatever it is and however it comes in.</summary>
public sealed class RoundTripTests
{
    private ApiServer server = null!;
    private int indexes;

    [OneTimeSetUp]
    public async Task StartAsync() => server = await ApiServer.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await server.DisposeAsync();

    [Test]
    public void ADocumentIsReadBackByItsIdAsItWasWritten() =>
        Prop.ForAll(
                JsonGenerators.Document.ToArbitrary(),
                document =>
                {
                    var (id, json) = document;
                    var written = Send("POST", "/indexes/any/documents?primaryKey=id", json);
                    var path = $"/indexes/any/documents/{Escaped(id)}";
                    var read = Send("GET", path);
                    var deleted = Send("DELETE", path);
                    var gone = Send("GET", path);
                    return written.Status == HttpStatusCode.Accepted
                        && read.Text == json
                        && deleted.Status == HttpStatusCode.Accepted
                        && gone.Code == "document_not_found";
                }
            )
            .QuickCheckThrowOnFailure();

    [Test]
    public void NdjsonEqualsTheArray() =>
        Prop.ForAll(
                JsonGenerators.Document.ListOf().Select(d => d.ToArray()).ToArbitrary(),
                documents =>
                {
                    var (a, b) = ($"a{++indexes}", $"b{indexes}");
                    var array = "[" + string.Join(",", documents.Select(d => d.Json)) + "]";
                    var lines = string.Join("\n", documents.Select(d => d.Json)) + "\n\n";
                    Send("POST", $"/indexes/{a}/documents?primaryKey=id", array);
                    Send("POST", $"/indexes/{b}/documents?primaryKey=id", lines, "application/x-ndjson");
                    return Stored(a).SequenceEqual(Stored(b))
                        && Stored(a).Count() == documents.Select(d => d.Id).Distinct().Count();
                }
            )
            .QuickCheckThrowOnFailure();

    [Test]
    public void LinesAreTheSameInAnyChunking() =>
        Prop.ForAll(
                Gen.Elements("a", "bc", "\n", "\n", "\r\n", " ", "é", new string('x', 70_000)).ListOf().ToArbitrary(),
                Gen.Choose(1, 5000).NonEmptyListOf().ToArbitrary(),
                (pieces, sizes) =>
                {
                    var text = string.Concat(pieces);
                    var expected = text.Split('\n').Select(l => l.Trim(' ', '\r')).Where(l => l != "");
                    return Lines(Encoding.UTF8.GetBytes(text), sizes.ToArray()).Result.SequenceEqual(expected);
                }
            )
            .QuickCheckThrowOnFailure();

    [TestCase(".")]
    [TestCase("..")]
    [TestCase("a/../b")]
    [TestCase("g++")]
    [TestCase("libstdc++-12-dev:amd64")]
    [TestCase("%2F")]
    [TestCase("a%252Fb")]
    [TestCase("fetch")]
    [TestCase("delete-batch")]
    public async Task NoIdIsTakenForAnythingElse(string id)
    {
        await server.WriteAsync("POST", "/indexes/odd/documents?primaryKey=id", """{"id":"bystander"}""");
        await server.WriteAsync("POST", "/indexes/odd/documents", $$"""{"id":"{{id}}"}""");
        var path = $"/indexes/odd/documents/{Escaped(id)}";
        Assert.That((await server.SendAsync("GET", path)).Text, Is.EqualTo($$"""{"id":"{{id}}"}"""));
        var (_, task) = await server.WriteAsync("DELETE", path);
        Assert.That(task.GetProperty("details").GetProperty("deletedDocuments").GetInt64(), Is.EqualTo(1));
        var bystander = await server.SendAsync("GET", "/indexes/odd/documents/bystander");
        Assert.That(bystander.Status, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task AnIntegerAndItsTextAreOneDocument()
    {
        await server.WriteAsync("POST", "/indexes/numbers/documents", """[{"id":7,"a":1},{"id":"7","a":2}]""");
        Assert.That(Stored("numbers"), Is.EqualTo((string[])["""{"id":"7","a":2}"""]));
    }

    [Test]
    public async Task OfARepeatedFieldTheLastCounts()
    {
        await server.WriteAsync("POST", "/indexes/twice/documents", """{"id":1,"a":1.50,"b":0,"\u0061":2.50,"id":2}""");
        var read = await server.SendAsync("GET", "/indexes/twice/documents/2");
        Assert.That(read.Text, Is.EqualTo("""{"b":0,"\u0061":2.50,"id":2}"""));
    }

    private ApiReply Send(string method, string path, string? body = null, string type = "application/json") =>
        server.SendAsync(method, path, body, type).GetAwaiter().GetResult();

    private IEnumerable<string> Stored(string index) =>
        server.Cluster.All(index).Select(d => Encoding.UTF8.GetString(d.Body.Span));

    /// <summary>Dots too: a path of them would be taken for a step.</summary>
    private static string Escaped(string id) => Uri.EscapeDataString(id).Replace(".", "%2E", StringComparison.Ordinal);

    private static async Task<List<string>> Lines(byte[] bytes, int[] sizes)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        for (var (at, turn) = (0, 0); at < bytes.Length; turn++)
        {
            var size = Math.Min(sizes[turn % sizes.Length], bytes.Length - at);
            await pipe.Writer.WriteAsync(bytes.AsMemory(at, size));
            at += size;
        }
        await pipe.Writer.CompleteAsync();
        var lines = new List<ReadOnlyMemory<byte>>();
        await NdjsonLines.ReadAsync(
            pipe.Reader,
            10_000_000,
            (line, _) =>
            {
                lines.Add(line);
                return ValueTask.CompletedTask;
            },
            CancellationToken.None
        );
        // Read only now: a line that was handed on must not change any more.
        return [.. lines.Select(line => Encoding.UTF8.GetString(line.Span))];
    }
}
