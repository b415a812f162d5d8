import TestSupport
import Testing

@testable import Vectors

/// Damaged data throws or decodes to something else, but never traps or runs away.
@Suite struct PcoDamageTests {
  private static let seed: UInt64 = 6_112_026

  /// Changes some bytes, mostly near the beginning, where headers and metas are.
  private func damage(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var damaged = bytes
    for _ in 0...random.below(4) where !damaged.isEmpty {
      let end = random.chance(70) ? min(damaged.count, 64) : damaged.count
      let index = random.below(end)
      switch random.below(6) {
      case 0: damaged[index] = UInt8(truncatingIfNeeded: random.next())
      case 1: damaged[index] = 0xFF
      case 2: damaged[index] = 0
      case 3: damaged.removeSubrange(index..<min(damaged.count, index + 1 + random.below(3)))
      case 4: damaged.insert(contentsOf: random.bytes(1 + random.below(3)), at: index)
      default: damaged[index] ^= 1 << UInt8(random.below(8))
      }
    }
    if random.chance(10) { damaged.removeLast(random.below(damaged.count + 1)) }
    return damaged
  }

  @Test func damagedVectorsDoNotTrap() throws {
    var random = SeededRandom(seed: Self.seed)
    var (thrown, decoded) = (0, 0)
    // Large ones would only take time: what is in a page repeats.
    let vectors = try PcoFixtures.load().vectors.filter { $0.wrapped == nil && $0.count <= 6000 }
    for vector in vectors {
      let type = try #require(PcoNumberType(shortName: vector.type))
      let bytes = try PcoFixtures.bytes(vector.file)
      for _ in 0..<60 {
        let damaged = damage(bytes, &random)
        do throws(PcoError) {
          let numbers = try decompressedBytes(damaged, type, maximumCount: 20_000)
          #expect(numbers.count <= 20_000 * type.bitWidth / 8)
          decoded += 1
        } catch {
          thrown += 1
        }
      }
    }
    // Both ways are taken, or the damage is not of the kind that it should be.
    #expect(thrown > 500 && decoded > 500, "seed \(Self.seed): \(thrown), \(decoded)")
  }

  @Test func randomBytesAfterAHeaderDoNotTrap() throws {
    var random = SeededRandom(seed: Self.seed)
    for _ in 0..<3000 {
      let type = PcoNumberType.allCases[random.below(PcoNumberType.allCases.count)]
      let header: [UInt8] = Array("pco!".utf8) + [3, 0, 0, 4, 1, type.rawValue]
      let count = random.below(2000)
      var chunk = [UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: count >> 8), 0]
      // Of the first byte the modes and delta encodings that there are.
      chunk.append(UInt8(random.below(5) | random.below(4) << 4))
      do throws(PcoError) {
        _ = try decompressedBytes(
          header + chunk + random.bytes(random.below(3000)), type, maximumCount: 20_000)
      } catch {
        // That most of these throw is as it should be.
        #expect(error.code != .typeMismatch)
      }
    }
  }
}
