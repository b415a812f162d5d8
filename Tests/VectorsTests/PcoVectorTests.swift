import Foundation
import Testing

@testable import Vectors

/// Data of the reference implementation decodes bit by bit; what it refuses throws.
@Suite struct PcoVectorTests {
  @Test func digestIsRight() {
    // The example of the standard.
    #expect(
      SHA256Digest.hexadecimal(Array("abc".utf8))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func standaloneVectorsDecode() throws {
    var count = 0
    for vector in try PcoFixtures.load().vectors where vector.wrapped == nil {
      let type = try #require(PcoNumberType(shortName: vector.type))
      let bytes = try PcoFixtures.bytes(vector.file)
      let decoded = try decompressedBytes(bytes, type)
      #expect(decoded.count == vector.count * type.bitWidth / 8, "\(vector.name)")
      #expect(SHA256Digest.hexadecimal(decoded) == vector.sha256, "\(vector.name)")
      count += 1
    }
    #expect(count == 69)
  }

  @Test func wrappedVectorsDecode() throws {
    var count = 0
    for vector in try PcoFixtures.load().vectors {
      guard let wrapped = vector.wrapped else { continue }
      let type = try #require(PcoNumberType(shortName: vector.type))
      let bytes = try PcoFixtures.bytes(vector.file)
      var decoded: [UInt8] = []
      try bytes.withUnsafeBytes { bytes in
        var reader = BitReader(bytes, byteOffset: wrapped.headerByteCount)
        let meta = try ChunkMeta(from: &reader, type: type, major: Int(bytes[0]))
        var offset = wrapped.headerByteCount + wrapped.metaByteCount
        #expect(reader.byteOffset == offset, "\(vector.name)")
        let decoder = ChunkDecoder(meta, type: type)
        let scratch = DecoderScratch()
        for (pageByteCount, pageCount) in zip(wrapped.pageByteCounts, wrapped.pageCounts) {
          // Nothing behind the page may be needed.
          let page = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + pageByteCount])
          let numbers = UnsafeMutableRawBufferPointer.allocate(
            byteCount: pageCount * type.bitWidth / 8, alignment: 8)
          defer { numbers.deallocate() }
          let end = try decoder.decodePage(
            page, byteOffset: 0, into: try #require(numbers.baseAddress), count: pageCount,
            scratch: scratch)
          #expect(end == pageByteCount, "\(vector.name)")
          decoded += numbers
          offset += pageByteCount
        }
      }
      #expect(SHA256Digest.hexadecimal(decoded) == vector.sha256, "\(vector.name)")
      count += 1
    }
    #expect(count == 3)
  }

  /// The kind of error for each way that a file is damaged, where it is not `corrupted`.
  private static let codes: [String: PcoError.Code] = [
    "bad_a_truncated": .truncated, "bad_a_no_footer": .truncated, "bad_a_empty": .truncated,
    "bad_a_standalone_version": .unsupportedVersion, "bad_a_major5": .unsupportedVersion,
  ]

  @Test func malformedDataThrows() throws {
    let malformed = try PcoFixtures.load().malformed
    #expect(malformed.count == 28)
    for file in malformed {
      let bytes = try PcoFixtures.bytes(file.file)
      let expected = Self.codes[file.name] ?? .corrupted
      var found = 0
      for type in PcoNumberType.allCases {
        do throws(PcoError) {
          _ = try decompressedBytes(bytes, type)
          Issue.record("\(file.name) (\(file.what)) was accepted as \(type)")
        } catch {
          if error.code == .typeMismatch { continue }
          found += 1
          #expect(error.code == expected, "\(file.name) (\(file.what)) as \(type): \(error)")
        }
      }
      #expect(found > 0, "\(file.name)")
    }
  }

  @Test func everyTruncationThrows() throws {
    for name in ["synth_a_lookback_state4_secondary.pco", "floatmult_f16.pco", "dict_u64.pco"] {
      let bytes = try PcoFixtures.bytes(name)
      let type: PcoNumberType =
        name.hasPrefix("dict") ? .uint64 : name.hasPrefix("float") ? .float16 : .uint32
      for count in 0..<bytes.count {
        #expect(throws: PcoError.self, "\(name) cut to \(count) bytes") {
          try decompressedBytes(Array(bytes[..<count]), type)
        }
      }
    }
  }

  @Test func otherTypesAndTooManyValuesThrow() throws {
    let bytes = try Pco.compress([Int32](0..<1000))
    do throws(PcoError) {
      _ = try Pco.decompress(bytes, as: UInt32.self)
      Issue.record("another type was accepted")
    } catch { #expect(error.code == .typeMismatch) }
    do throws(PcoError) {
      _ = try Pco.decompress(bytes, as: Int32.self, maximumCount: 999)
      Issue.record("more values than allowed were accepted")
    } catch { #expect(error.code == .tooManyValues) }
    #expect(try Pco.decompress(bytes, as: Int32.self, maximumCount: 1000).count == 1000)
    let memory = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 1001)
    defer { memory.deallocate() }
    let count = try bytes.withUnsafeBytes { bytes in
      do throws(PcoError) {
        _ = try Pco.decompress(
          bytes, into: UnsafeMutableBufferPointer(rebasing: memory[..<999]))
        Issue.record("more values than there is room for were accepted")
      } catch { #expect(error.code == .tooManyValues) }
      return try Pco.decompress(bytes, into: memory)
    }
    #expect(count == 1000)
    #expect(Array(memory[..<1000]) == [Int32](0..<1000))
  }

  @Test func claimsTakeNoMemory() throws {
    // Chunks of 2 ** 24 equal values, of which each takes a few bytes.
    let constant = try Pco.compress(
      [UInt64](repeating: 7, count: 100), options: PcoOptions(maximumChunkCount: 100))
    let header = 10
    var bytes = Array(constant[..<header])
    let chunk = Array(constant[header..<constant.count - 1])
    #expect(chunk[0] == PcoNumberType.uint64.rawValue && chunk[1] == 99)
    for _ in 0..<1000 { bytes += [chunk[0], 0xFF, 0xFF, 0xFF] + chunk[4...] }
    bytes.append(0)
    do throws(PcoError) {
      _ = try Pco.decompress(bytes, as: UInt64.self, maximumCount: 1 << 20)
      Issue.record("the claim was accepted")
    } catch { #expect(error.code == .tooManyValues) }
  }
}
