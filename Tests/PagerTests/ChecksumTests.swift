import Pager
import Testing

@Suite struct ChecksumTests {
  /// What the vectors were made of: byte i is (i * 131 + 7) mod 251.
  static func pattern(_ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { UInt8(($0 * 131 + 7) % 251) }
  }

  static func sum(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
    bytes.withUnsafeBytes { checksum64($0, seed: seed) }
  }

  @Test func publishedVectors() {
    #expect(
      checksum64(UnsafeRawBufferPointer(start: nil, count: 0), seed: 0) == 0xEF46_DB37_51D8_E999)
    #expect(Self.sum([], seed: 0) == 0xEF46_DB37_51D8_E999)
    #expect(Self.sum(Array("abc".utf8), seed: 0) == 0x44BC_2CF5_AD77_0999)
  }

  /// Made by the reference implementation (Python's `xxhash` 4.1.0).
  @Test(arguments: referenceVectors)
  func referenceImplementation(vector: Vector) {
    let found = Self.sum(Self.pattern(vector.byteCount), seed: vector.seed)
    #expect(found == vector.checksum, "\(vector)")
  }

  @Test func alignmentDoesNotMatter() {
    let bytes = Self.pattern(1000)
    let expected = Self.sum(bytes, seed: 9)
    for shift in 0..<16 {
      let shifted = [UInt8](repeating: 0xAA, count: shift) + bytes
      let found = shifted.withUnsafeBytes {
        checksum64(UnsafeRawBufferPointer(rebasing: $0[shift...]), seed: 9)
      }
      #expect(found == expected, "shift \(shift)")
    }
  }

  @Test func streamEqualsWholeWhereverItIsCut() {
    for byteCount in [0, 1, 31, 32, 33, 63, 64, 65, 100, 257] {
      let bytes = Self.pattern(byteCount)
      let expected = Self.sum(bytes, seed: 42)
      for pieceByteCount in 1...70 {
        var stream = Checksum64Stream(seed: 42)
        bytes.withUnsafeBytes { whole in
          var offset = 0
          while offset < whole.count {
            let end = min(offset + pieceByteCount, whole.count)
            stream.update(UnsafeRawBufferPointer(rebasing: whole[offset..<end]))
            offset = end
          }
        }
        #expect(stream.finish() == expected, "\(byteCount) bytes in pieces of \(pieceByteCount)")
      }
    }
  }

  @Test func streamGoesOnAfterFinish() {
    let bytes = Self.pattern(90)
    var stream = Checksum64Stream(seed: 1)
    bytes.withUnsafeBytes { whole in
      stream.update(UnsafeRawBufferPointer(rebasing: whole[..<50]))
      #expect(stream.finish() == Self.sum(Array(bytes[..<50]), seed: 1))
      stream.update(UnsafeRawBufferPointer(rebasing: whole[50...]))
    }
    #expect(stream.finish() == Self.sum(bytes, seed: 1))
  }
}

struct Vector: Sendable {
  let byteCount: Int
  let seed: UInt64
  let checksum: UInt64
}

let referenceVectors: [Vector] = [
  Vector(byteCount: 1, seed: 0, checksum: 0xA96C_7F0C_E858_BBB7),
  Vector(byteCount: 1, seed: 11400714785074694791, checksum: 0x0C81_0166_B301_22A5),
  Vector(byteCount: 2, seed: 0, checksum: 0xC22C_6A70_AD56_BBA6),
  Vector(byteCount: 2, seed: 18446744073709551615, checksum: 0xDCDB_ADEE_8AD3_9708),
  Vector(byteCount: 3, seed: 0, checksum: 0x3408_1573_1509_CC08),
  Vector(byteCount: 3, seed: 11400714785074694791, checksum: 0xF0A1_906C_09AA_6815),
  Vector(byteCount: 4, seed: 0, checksum: 0x5FA7_1120_5D86_E9DA),
  Vector(byteCount: 4, seed: 18446744073709551615, checksum: 0x6B90_B13D_D80B_8F17),
  Vector(byteCount: 5, seed: 0, checksum: 0x41D9_AD79_3EF5_D0C0),
  Vector(byteCount: 5, seed: 11400714785074694791, checksum: 0x46CB_745C_6255_D0B1),
  Vector(byteCount: 7, seed: 0, checksum: 0xC563_70B3_A8E8_A7BB),
  Vector(byteCount: 7, seed: 11400714785074694791, checksum: 0x8E69_FDFC_3D3C_FC21),
  Vector(byteCount: 8, seed: 0, checksum: 0xDF40_710B_5912_68C9),
  Vector(byteCount: 8, seed: 18446744073709551615, checksum: 0xA391_83AE_ECF7_C26F),
  Vector(byteCount: 9, seed: 0, checksum: 0x1BDA_EA7B_2B9B_9E1F),
  Vector(byteCount: 9, seed: 11400714785074694791, checksum: 0xC3AA_86CA_10E4_F0F9),
  Vector(byteCount: 12, seed: 0, checksum: 0x0593_898B_9F36_DC8E),
  Vector(byteCount: 12, seed: 18446744073709551615, checksum: 0xE120_3BE8_6F2D_3918),
  Vector(byteCount: 13, seed: 0, checksum: 0xA625_3B08_3D7F_DF58),
  Vector(byteCount: 13, seed: 11400714785074694791, checksum: 0x901B_6F1D_FFF9_3AD0),
  Vector(byteCount: 16, seed: 0, checksum: 0x6834_9CAC_F587_106D),
  Vector(byteCount: 16, seed: 18446744073709551615, checksum: 0x851A_6C18_0696_0303),
  Vector(byteCount: 20, seed: 0, checksum: 0xDE5E_EC50_B7D8_85FB),
  Vector(byteCount: 20, seed: 18446744073709551615, checksum: 0xC2FC_3BD1_28DB_DDB1),
  Vector(byteCount: 24, seed: 0, checksum: 0xE82B_297E_4959_DA90),
  Vector(byteCount: 24, seed: 18446744073709551615, checksum: 0xC5B9_D236_23C7_F543),
  Vector(byteCount: 31, seed: 0, checksum: 0xB1F7_05FA_A66F_113E),
  Vector(byteCount: 31, seed: 11400714785074694791, checksum: 0x9984_28C1_B4ED_458A),
  Vector(byteCount: 32, seed: 0, checksum: 0xE4D6_6D93_93E3_A596),
  Vector(byteCount: 32, seed: 18446744073709551615, checksum: 0x012F_78C6_D360_FC9F),
  Vector(byteCount: 33, seed: 0, checksum: 0x2F77_E969_07A9_337B),
  Vector(byteCount: 33, seed: 11400714785074694791, checksum: 0x02FE_7DA9_238A_C6DD),
  Vector(byteCount: 40, seed: 0, checksum: 0x2F6D_0832_AAF4_0720),
  Vector(byteCount: 40, seed: 18446744073709551615, checksum: 0xEB7D_972B_2D0F_CB98),
  Vector(byteCount: 47, seed: 0, checksum: 0xCE4F_DBA7_D2E8_D11E),
  Vector(byteCount: 47, seed: 11400714785074694791, checksum: 0xC1DE_B8EC_6544_80E5),
  Vector(byteCount: 63, seed: 0, checksum: 0xDAA9_2A8F_02A3_FA78),
  Vector(byteCount: 63, seed: 11400714785074694791, checksum: 0x46C5_C4DB_7DE8_E33A),
  Vector(byteCount: 64, seed: 0, checksum: 0x7D4E_619B_9AB2_8955),
  Vector(byteCount: 64, seed: 18446744073709551615, checksum: 0x385B_DA28_E401_9589),
  Vector(byteCount: 65, seed: 0, checksum: 0xEC89_71F3_0261_BEBB),
  Vector(byteCount: 65, seed: 11400714785074694791, checksum: 0xF089_1D22_C1D5_E697),
  Vector(byteCount: 96, seed: 0, checksum: 0x94EE_AAB9_1BE6_751E),
  Vector(byteCount: 96, seed: 18446744073709551615, checksum: 0x2D56_BD9F_CFF2_F6DB),
  Vector(byteCount: 127, seed: 0, checksum: 0xDC22_6692_B869_2D84),
  Vector(byteCount: 127, seed: 11400714785074694791, checksum: 0xFB52_4E1F_3C5B_C458),
  Vector(byteCount: 255, seed: 0, checksum: 0x0E4A_ED52_B425_7A18),
  Vector(byteCount: 255, seed: 11400714785074694791, checksum: 0xC0E8_9047_5788_B420),
  Vector(byteCount: 512, seed: 0, checksum: 0x6459_BE61_E3E2_0800),
  Vector(byteCount: 512, seed: 18446744073709551615, checksum: 0x9C24_9D4B_5F6A_2A10),
  Vector(byteCount: 1000, seed: 0, checksum: 0xE046_69F6_18D1_3C00),
  Vector(byteCount: 1000, seed: 18446744073709551615, checksum: 0x202D_563F_B0ED_5B30),
  Vector(byteCount: 4096, seed: 0, checksum: 0x16ED_BCEB_4F6E_3735),
  Vector(byteCount: 4096, seed: 18446744073709551615, checksum: 0xFB2F_5A2A_7D14_B53B),
  Vector(byteCount: 4099, seed: 0, checksum: 0xAA31_59C1_DC4E_02FB),
  Vector(byteCount: 4099, seed: 11400714785074694791, checksum: 0xE858_192E_022B_DD46),
  Vector(byteCount: 65536, seed: 0, checksum: 0xA012_F54C_EE4E_BB7A),
  Vector(byteCount: 65536, seed: 18446744073709551615, checksum: 0x67D5_02BA_9821_C587),
]
