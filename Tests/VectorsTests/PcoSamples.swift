import TestSupport

@testable import Vectors

/// A type of numbers that tests can make samples of.
protocol SampleNumber: PcoNumber {
  /// The number of these bits, of which the lower ones count.
  init(sampleBits: UInt64)
  /// The number nearest to this, if the type has such.
  init(sampleValue: Double)
}

extension SampleNumber where Self: FixedWidthInteger {
  init(sampleBits: UInt64) { self = Self(truncatingIfNeeded: sampleBits) }
  init(sampleValue: Double) { self = Self(truncatingIfNeeded: Int64(sampleValue)) }
}

extension UInt8: SampleNumber {}
extension UInt16: SampleNumber {}
extension UInt32: SampleNumber {}
extension UInt64: SampleNumber {}
extension Int8: SampleNumber {}
extension Int16: SampleNumber {}
extension Int32: SampleNumber {}
extension Int64: SampleNumber {}
extension Float: SampleNumber {
  init(sampleBits: UInt64) { self.init(bitPattern: UInt32(truncatingIfNeeded: sampleBits)) }
  init(sampleValue: Double) { self.init(sampleValue) }
}
extension Double: SampleNumber {
  init(sampleBits: UInt64) { self.init(bitPattern: sampleBits) }
  init(sampleValue: Double) { self = sampleValue }
}
#if !(os(macOS) && arch(x86_64))
  extension Float16: SampleNumber {
    init(sampleBits: UInt64) { self.init(bitPattern: UInt16(truncatingIfNeeded: sampleBits)) }
    init(sampleValue: Double) { self.init(sampleValue) }
  }
#endif

/// How the numbers of a sample are distributed.
enum SampleKind: CaseIterable {
  case constant
  case twoValues
  case randomBits
  case smallNumbers
  case walk
  case line
  case parabola
  case multiples
  case decimals
  case quarters
  case singlePrecision
  case specials
  case repeats
  case cycle
  case longTail

  func numbers<Number: SampleNumber>(
    _ type: Number.Type, count: Int, random: inout SeededRandom
  ) -> [Number] {
    var level = 0.0
    let seen = (0..<300).map { _ in Number(sampleBits: random.next()) }
    return (0..<count).map { index in
      switch self {
      case .constant: return seen[0]
      case .twoValues: return seen[random.chance(3) ? 1 : 0]
      case .randomBits: return Number(sampleBits: random.next())
      case .smallNumbers: return Number(sampleValue: Double(random.below(100)))
      case .walk:
        level += Double(random.below(21) - 10)
        return Number(sampleValue: level)
      case .line: return Number(sampleValue: Double(index * 3 - 50))
      case .parabola: return Number(sampleValue: Double(index * index % (1 << 40)))
      case .multiples:
        return Number(
          sampleValue: Double(random.below(1 << 20) * 1000 + (random.chance(2) ? 1 : 0)))
      case .decimals: return Number(sampleValue: Double(random.below(20_000) - 10_000) / 100)
      case .quarters: return Number(sampleValue: Double(random.below(1 << 16)) * 0.25)
      case .singlePrecision:
        let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()) & 0x4FFF_FFFF)
        return Number(sampleValue: Double(value.isFinite && value < 1e9 ? value : 0))
      case .specials: return Self.special(&random)
      case .repeats: return seen[index % 5]
      case .cycle: return seen[index % 300]
      case .longTail: return Number(sampleBits: random.next() >> UInt64(random.below(64)))
      }
    }
  }

  /// Zeros of both signs, infinities, NaN of all payloads, subnormals and ends of the range, as bits
  /// of each width, among numbers like 0.5.
  private static func special<Number: SampleNumber>(_ random: inout SeededRandom) -> Number {
    let sign: UInt64 = random.chance(50) ? 0x8000_0000_8000_8080 : 0
    switch random.below(7) {
    case 0: return Number(sampleBits: sign)
    case 1:
      let bits: UInt64 =
        MemoryLayout<Number>.size == 8
        ? 0x7FF0_0000_0000_0000 : MemoryLayout<Number>.size == 4 ? 0x7F80_0000 : 0x7C00
      return Number(sampleBits: bits | sign & ~0x8080)
    case 2:
      let bits: UInt64 = MemoryLayout<Number>.size == 8 ? 0x7FF0 << 48 : 0x7F80_7C00
      return Number(sampleBits: bits | random.next() >> 13)
    case 3: return Number(sampleBits: random.next() & 0xFF | sign)
    case 4: return Number(sampleBits: ~sign)
    default: return Number(sampleValue: Double(random.below(100)) / 2)
    }
  }
}
