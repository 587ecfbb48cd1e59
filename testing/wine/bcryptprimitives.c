/*
 * The one function of bcryptprimitives.dll that Rust's standard library imports. Wine 8 lacks the
 * DLL: a program that needs it ends with status 53 and says nothing.
 */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID data, ULONG length); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    return SystemFunction036(data, (ULONG)length);
}
