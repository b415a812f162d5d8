import Testing
import Vectors

// The example of compressed numbers.

extension DocumentationExamples {
  @Test func numbersAreCompressed() throws {
    let readings = [20.5, 20.5, 20.6, 20.4, 20.5]
    let compressed = try Pco.compress(readings)
    let same = try Pco.decompress(compressed, as: Double.self)
    #expect(same == readings)
  }
}
