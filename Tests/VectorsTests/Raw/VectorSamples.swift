import BTreeKV
import Pager
import TestSupport
import Vectors

/// An element that a number decides.
protocol SampleElement: VectorElement {
  init(number: UInt64)
}

extension UInt8: SampleElement {
  init(number: UInt64) { self = UInt8(truncatingIfNeeded: number) }
}

extension UInt64: SampleElement {
  init(number: UInt64) { self = number }
}

extension Bool: SampleElement {
  init(number: UInt64) { self = number & 1 != 0 }
}

extension SIMD3<Float>: SampleElement {
  init(number: UInt64) {
    self.init(Float(number & 0xFFFF), -0.0, Float(bitPattern: UInt32(truncatingIfNeeded: number)))
  }
}

/// Of a size that does not divide a chunk's.
struct Triple: FixedLayoutValue, VectorElement, SampleElement, Equatable {
  var a: UInt32
  var b: Float
  var c: UInt32

  init(number: UInt64) {
    a = UInt32(truncatingIfNeeded: number)
    b = Float(number & 0xFFF)
    c = UInt32(truncatingIfNeeded: number >> 32)
  }
}

struct Height: RawRepresentableElement, Hashable, SampleElement {
  var rawValue: UInt32
  init(rawValue: UInt32) { self.rawValue = rawValue }
  init(number: UInt64) { rawValue = UInt32(truncatingIfNeeded: number) }
}

/// The bytes as which elements are stored.
func storedBytes<Element: VectorElement>(_ elements: some Sequence<Element>) -> [UInt8] {
  let stored = elements.map(\.stored)
  return stored.withUnsafeBytes { Array($0) }
}

/// The bytes of all elements that a reader shows.
func storedBytes<Element: VectorElement>(_ reader: RawVectorReader<Element>) -> [UInt8] {
  let span = reader.storedSpan
  return span.withUnsafeBufferPointer { Array(UnsafeRawBufferPointer($0)) }
}

/// What a reader shows in runs.
func runBytes<Element: VectorElement>(
  _ reader: RawVectorReader<Element>, _ range: Range<Int>? = nil
) -> [UInt8] {
  var bytes: [UInt8] = []
  reader.forEachSpan(in: range) { span in
    span.withUnsafeBufferPointer { bytes.append(contentsOf: UnsafeRawBufferPointer($0)) }
  }
  return bytes
}
